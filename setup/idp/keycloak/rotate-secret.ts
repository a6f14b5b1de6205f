#!/usr/bin/env -S npx --no -- tsx
/** Gives a client of ours in a Keycloak realm a new secret. Run it from the repository's root. */
import { runScript } from '../script.js'

const usage = `rotate-secret.ts [--plan] [--yes]

Asks before the old secret ends; --yes agrees.

Environment:
  KEYCLOAK_ADMIN_URL       base URL (http://localhost:8080); KEYCLOAK_URL is the same
  KEYCLOAK_REALM           realm (mcp-gateway)
  KEYCLOAK_ADMIN           administrator (admin)
  KEYCLOAK_ADMIN_PASSWORD  required
  KEYCLOAK_ADMIN_REALM     realm of the administrator (master)
  M2M_NAME                 required: the client's id
  M2M_SECRET_FILE          where its secret is and goes (the client's file in the home folder)

Example:
  export KEYCLOAK_ADMIN_PASSWORD=… M2M_NAME=reporting-agent
  ./setup/idp/keycloak/rotate-secret.ts --plan
  ./setup/idp/keycloak/rotate-secret.ts --yes`

await runScript({
  operation: 'rotate_secret',
  prints: { M2M_SECRET_FILE: 'secret_file' },
  usage,
  defaults: { KEYCLOAK_ADMIN_URL: 'http://localhost:8080' },
  input: (variable) => ({
    idp: 'keycloak',
    name: variable('M2M_NAME'),
    secret_file: variable('M2M_SECRET_FILE'),
  }),
})
