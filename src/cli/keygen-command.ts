/** `m2push keygen`: prints a new pair of keys. */
import { Argument, type Command } from "commander";
import { createCurveKeyPair } from "../zmq/curve.js";
import { type Io, processIo } from "./io.js";

const DESCRIPTION =
  "Prints a new pair of CURVE keys for ZeroMQ as TOML: a publisher has one pair, the daemon another one for each [[publish.curve]] " +
  "table. The daemon's configuration has its own secret key (server_secret_key) and the publisher's public key (client_public_key). " +
  "Keep each secret key where it is used.";

export function addKeygen(program: Command, io: Io = processIo): void {
  const command = program.command("keygen").summary("print a new pair of keys").description(DESCRIPTION);
  command.addArgument(new Argument("<kind>", "curve: a pair for ZeroMQ").choices(["curve"]));
  command.action(async () => {
    const { publicKey, secretKey } = await createCurveKeyPair();
    io.stdout.write(`public_key = "${publicKey}"\nsecret_key = "${secretKey}"\n`);
  });
}
