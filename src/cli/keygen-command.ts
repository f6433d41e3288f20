/** `m2push keygen`: prints new keys. */
import { randomBytes } from "node:crypto";
import { Argument, type Command } from "commander";
import { createCurveKeyPair } from "../zmq/curve.js";
import { type Io, processIo } from "./io.js";

const DESCRIPTION =
  "curve prints a new pair of CURVE keys for ZeroMQ as TOML: a publisher has one pair, the daemon another one for each [[publish.curve]] " +
  "table. The daemon's configuration has its own secret key (server_secret_key) and the publisher's public key (client_public_key). " +
  "Keep each secret key where it is used. webhook prints a new secret for a [[webhook]] table and for the program that receives it.";

/** Of a secret for webhooks (Standard Webhooks: 24 to 64). */
const WEBHOOK_SECRET_BYTES = 32;

export function addKeygen(program: Command, io: Io = processIo): void {
  const command = program.command("keygen").summary("print new keys").description(DESCRIPTION);
  command.addArgument(
    new Argument("<kind>", "curve: a pair for ZeroMQ; webhook: a secret").choices(["curve", "webhook"]),
  );
  command.action(async (kind: "curve" | "webhook") => {
    if (kind === "webhook") {
      io.stdout.write(`secret = "whsec_${randomBytes(WEBHOOK_SECRET_BYTES).toString("base64")}"\n`);
      return;
    }
    const { publicKey, secretKey } = await createCurveKeyPair();
    io.stdout.write(`public_key = "${publicKey}"\nsecret_key = "${secretKey}"\n`);
  });
}
