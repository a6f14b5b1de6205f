#!/usr/bin/env -S npx --no -- tsx
/** Prepares a Keycloak realm for the gateway. Run it from the repository's root. */
import { listVariable, runScript } from '../script.js'

const usage = `init.ts [--plan]

Makes the realm, the clients mcp-gateway-web and mcp-gateway-m2m, the group registry-admins with an
administrator in it, and the registry's environment file. Secrets and the administrator's first password go
to files that only you can read. Running it again rotates nothing and changes nothing.

Environment:
  KEYCLOAK_ADMIN_URL        base URL (http://localhost:8080); KEYCLOAK_URL is the same
  KEYCLOAK_REALM            realm (mcp-gateway)
  KEYCLOAK_ADMIN            administrator (admin)
  KEYCLOAK_ADMIN_PASSWORD   required
  KEYCLOAK_ADMIN_REALM      realm of the administrator (master)
  AUTH_SERVER_EXTERNAL_URL  where the gateway's web login returns to (http://localhost:8888)
  INITIAL_ADMIN_USERNAME    person in registry-admins (admin)
  INITIAL_ADMIN_EMAIL       that person's address
  GATEWAY_GROUPS            further groups, separated by commas

Example:
  export KEYCLOAK_ADMIN_PASSWORD=…
  ./setup/idp/keycloak/init.ts --plan
  ./setup/idp/keycloak/init.ts`

await runScript({
  operation: 'init_tenant',
  prints: { REGISTRY_ENVIRONMENT_FILE: 'environment_file' },
  usage,
  defaults: { KEYCLOAK_ADMIN_URL: 'http://localhost:8080' },
  input: (variable) => ({
    idp: 'keycloak',
    auth_server_url: variable('AUTH_SERVER_EXTERNAL_URL'),
    admin_username: variable('INITIAL_ADMIN_USERNAME'),
    admin_email: variable('INITIAL_ADMIN_EMAIL'),
    groups: listVariable(variable('GATEWAY_GROUPS')),
  }),
})
