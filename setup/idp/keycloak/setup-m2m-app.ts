#!/usr/bin/env -S npx --no -- tsx
/** Creates or mends a machine client in a Keycloak realm. Run it from the repository's root. */
import { listVariable, runScript } from '../script.js'

const usage = `setup-m2m-app.ts [--plan]

Environment:
  KEYCLOAK_ADMIN_URL       base URL (http://localhost:8080); KEYCLOAK_URL is the same
  KEYCLOAK_REALM           realm (mcp-gateway)
  KEYCLOAK_ADMIN           administrator (admin)
  KEYCLOAK_ADMIN_PASSWORD  required
  KEYCLOAK_ADMIN_REALM     realm of the administrator (master)
  M2M_NAME                 required: name of the machine, which is its client id
  M2M_GROUPS               its groups, exactly, separated by commas; they must exist
  M2M_SECRET_FILE          where the secret goes (identities/ in the home folder)

Example:
  export KEYCLOAK_ADMIN_PASSWORD=… M2M_NAME=reporting-agent M2M_GROUPS=data-readers
  ./setup/idp/keycloak/setup-m2m-app.ts --plan
  ./setup/idp/keycloak/setup-m2m-app.ts`

await runScript({
  operation: 'setup_m2m_app',
  prints: { M2M_CLIENT_ID: 'client_id', M2M_SECRET_FILE: 'secret_file' },
  usage,
  defaults: { KEYCLOAK_ADMIN_URL: 'http://localhost:8080' },
  input: (variable) => ({
    idp: 'keycloak',
    name: variable('M2M_NAME'),
    groups: listVariable(variable('M2M_GROUPS')),
    secret_file: variable('M2M_SECRET_FILE'),
  }),
})
