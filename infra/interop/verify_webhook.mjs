// Checks a delivery with the official JavaScript library: {secret, headers, body} on stdin; ends with 0 or 1. The folder
// of the library is the first argument.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { Webhook, WebhookVerificationError } = createRequire(process.argv[2] + "/")("standardwebhooks");
const given = JSON.parse(readFileSync(0, "utf8"));
try {
  new Webhook(given.secret).verify(given.body, given.headers);
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  console.log(`refused: ${error.message}`);
  process.exit(1);
}
console.log("accepted");
