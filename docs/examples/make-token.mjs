// Prints a token of 15 minutes: M2PUSH_KEY=SECRET node make-token.mjs SUB TOPIC...   (npm: jose)
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";

const [sub, ...topics] = process.argv.slice(2);
const token = new SignJWT({ mercure: { subscribe: topics } }).setProtectedHeader({ alg: "HS256", typ: "JWT" });
token.setSubject(sub).setExpirationTime("15m").setJti(randomUUID());
console.log(await token.sign(new TextEncoder().encode(process.env.M2PUSH_KEY)));
