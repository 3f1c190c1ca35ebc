// Reads what `agora-admin audit RUN --statements DIR` wrote for cosign with Sigstore's own library (`@sigstore/verify@3.1.1`).
//
//     node sigstore_peer.mjs DIR PUBLIC_KEY
//
// DIR holds the statements of one run, PUBLIC_KEY is `trust/attest-p256.pub` of its home. Each bundle must be accepted with that
// key, and no longer once a byte of its payload is changed or with another key. Exits with 1 at the first thing that is not as
// promised. The library is looked for where the program is started: node_modules of that folder.

import { generateKeyPairSync, createPublicKey } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "package.json"));
const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity } = require("@sigstore/verify");

const [folder, keyFile] = process.argv.slice(2);

function accepts(bundle, publicKey) {
  const key = { publicKey, validFor: () => true };
  const nobody = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const verifier = new Verifier({ ...nobody, publicKey: () => key }, { tlogThreshold: 0, timestampThreshold: 0, ctlogThreshold: 0 });
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(bundle)));
    return true;
  } catch (error) {
    if (error.code === "SIGNATURE_ERROR") return false;
    throw error;
  }
}

function must(holds, what) {
  if (!holds) {
    console.error(`error: ${what}`);
    process.exit(1);
  }
}

const trusted = createPublicKey(readFileSync(keyFile));
const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
const files = readdirSync(folder).filter((name) => name.endsWith(".sigstore.json"));
must(files.length > 0, `no bundle in ${folder}`);
for (const name of files) {
  const bundle = JSON.parse(readFileSync(join(folder, name)));
  must(accepts(bundle, trusted), `${name}: not accepted`);
  must(!accepts(bundle, stranger), `${name}: accepted with another key`);
  const payload = Buffer.from(bundle.dsseEnvelope.payload, "base64");
  payload[payload.length >> 1] ^= 1;
  const changed = { ...bundle, dsseEnvelope: { ...bundle.dsseEnvelope, payload: payload.toString("base64") } };
  must(!accepts(changed, trusted), `${name}: accepted with a byte changed`);
}
console.log(`@sigstore/verify accepts ${files.length} bundles, and none of them changed`);
