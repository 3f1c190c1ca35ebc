"""Makes evidence bundles from fixed seeds: good ones, and the attacks of §11. A tiny writer of its own: of the
verifier it shares the spelling of canonical JSON, base64 and the two tree hashes, and nothing that is checked."""
