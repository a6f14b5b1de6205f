/**
 * Who may import whom: the layers of the house, checked by `npm run imports`. Imports of types count as imports.
 * test/house/imports.test.ts plants a violation of every rule here and expects it to be found.
 */

const FEATURES = '^(?:setup|registry|credentials-provider|ide)/'
/** Runnable files inside a feature's folder: they sit on top of everything and start it. */
const ENTRIES = '^(?:setup/idp/|registry/server/main\\.ts|credentials-provider/generate-creds\\.ts)'
/** Composes the three servers of `mcp-idp start` in one process. */
const COMPOSES_SERVERS = '^cli/(?:start|world)\\.ts$'

/** Packages that one place alone may know, and that place. */
const OWNED = {
  '@keycloak': '^idp/keycloak/',
  '@okta': '^idp/okta/',
  '@azure': '^idp/entra/',
  '@microsoft': '^idp/entra/',
  '@aws-sdk': '^idp/cognito/',
  auth0: '^idp/auth0/',
  'oidc-provider': '^idp/embedded/',
  '@modelcontextprotocol': '^mcp-server/',
  // The seam of Keycloak's SDK is an undici dispatcher; it leads to the door.
  undici: '^(?:core/http(?:-transport)?|idp/keycloak/connect)\\.ts$',
  commander: '^cli/',
  '@clack': '^cli/',
  zx: '^(?:setup/idp/|credentials-provider/generate-creds\\.ts)',
}

const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

module.exports = {
  forbidden: [
    rule(
      'core-is-pure',
      'core imports zod and node: only; its HTTP door also undici',
      { path: '^core/' },
      { pathNot: ['^core/', 'node_modules/zod/', 'node_modules/undici/'], dependencyTypesNot: ['core'] },
    ),
    rule(
      'adapters-know-core-only',
      'an adapter imports core and its neighbours in idp/',
      { path: '^idp/' },
      { pathNot: ['^(?:core|idp)/', 'node_modules/'], dependencyTypesNot: ['core'] },
    ),
    rule(
      'vendors-do-not-meet',
      'one folder knows one vendor; dynamic registration (dcr) is a protocol that several speak',
      { path: '^idp/([^/]+)/' },
      { path: '^idp/[^/]+/', pathNot: ['^idp/$1/', '^idp/dcr/'] },
    ),
    rule(
      'adapters-by-the-front-door',
      'above idp/ only its tables, its OAuth steps, the reading of claims and the capability types are known',
      { path: ['^(?:toolkit|cli|mcp-server)/', FEATURES], pathNot: COMPOSES_SERVERS },
      { path: '^idp/', pathNot: '^idp/(?:index|oauth|capabilities|tokens|claims)\\.ts$' },
    ),
    rule(
      'features-do-not-meet',
      'features meet in toolkit/operations; setup alone may import ide, for redirect URIs',
      { path: '^(registry|credentials-provider|ide)/', pathNot: ENTRIES },
      { path: FEATURES, pathNot: '^$1/' },
    ),
    rule(
      'setup-meets-ide-only',
      'of the other features setup may import ide',
      { path: '^setup/', pathNot: ENTRIES },
      { path: FEATURES, pathNot: '^(?:setup|ide)/' },
    ),
    rule(
      'features-look-down',
      'a feature does not know what is built on it',
      { path: FEATURES, pathNot: ENTRIES },
      { path: ['^(?:toolkit|cli|mcp-server|examples|test|bench)/', ENTRIES] },
    ),
    rule(
      'toolkit-looks-down',
      'the wiring does not know the surfaces',
      { path: '^toolkit/' },
      { path: ['^(?:cli|mcp-server|examples|test|bench)/', ENTRIES] },
    ),
    rule(
      'mcp-server-looks-down',
      'one surface does not know the other',
      { path: '^mcp-server/' },
      { path: ['^(?:cli|examples|test|bench)/', ENTRIES] },
    ),
    rule(
      'cli-starts-mcp-late',
      'the CLI loads the MCP server when it is asked for, so that nothing else pays for it',
      { path: '^cli/', pathNot: COMPOSES_SERVERS },
      { path: '^mcp-server/', dynamic: false },
    ),
    rule(
      'servers-are-started-in-one-place',
      'the embedded registry and provider are composed by the main job only',
      {
        path: '^(?:core|idp|ide|registry|setup|credentials-provider|mcp-server|toolkit|cli|examples)/',
        pathNot: ['^registry/server/', '^idp/embedded/', COMPOSES_SERVERS],
      },
      { path: '^(?:registry/server/|idp/embedded/server\\.ts)' },
    ),
    rule(
      'examples-use-the-public-door',
      'an example imports what a user can import',
      { path: '^examples/' },
      { pathNot: '^(?:toolkit/index\\.ts|examples/)', dependencyTypesNot: ['core'] },
    ),
    ...Object.entries(OWNED).map(([name, owner]) =>
      rule(
        `one-place-knows-${name.replace('@', '')}`,
        `${name} is imported in ${owner} only`,
        { pathNot: [owner, '^test/'] },
        { path: `node_modules/${name}/` },
      ),
    ),
    rule('no-circles', 'a circle is one module in two files', {}, { circular: true }),
    rule('nothing-unresolved', 'an import that leads nowhere', {}, { couldNotResolve: true }),
    rule(
      'ships-what-it-imports',
      'what is published imports no development dependency',
      { pathNot: '^(?:test|bench)/' },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
}
