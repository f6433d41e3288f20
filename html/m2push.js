/** The client of the npm package (m2push/client), which `npm run build` compiles from client/ into this folder. */
export * from "./client/index.js";
