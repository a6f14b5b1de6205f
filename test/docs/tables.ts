/** The README's tables as pure text, each made from the table in code that it describes. */
import { ERRORS, EXIT_INTERRUPTED } from '../../core/errors.js'
import { SETTINGS, type Setting } from '../../core/settings.js'
import { CLIENTS, type ClientRow, type RedirectForm } from '../../ide/catalogue.js'
import { type Capabilities, IDPS } from '../../idp/index.js'
import { NEEDS } from '../../setup/needs.js'
import { CATALOG, type CatalogRow } from '../../toolkit/catalog.js'

/** Section names as the markers in README.md spell them. */
export const SECTIONS = { operations, 'identity-providers': identityProviders, 'mcp-clients': mcpClients, settings, errors } as const
export type SectionName = keyof typeof SECTIONS

async function operations(): Promise<string> {
  const rows = await Promise.all(
    (CATALOG as readonly CatalogRow[]).map(async ({ name, command, safety, toolset, load }) => {
      const { summary } = await load()
      return [code(`mcp-idp ${command.join(' ')}`), code(name), safety, toolset, firstSentence(summary)]
    }),
  )
  return table(['command', 'MCP tool, library function', 'class', 'toolset', 'what it does'], rows)
}

async function identityProviders(): Promise<string> {
  const columns: Capabilities[] = Object.values(IDPS).map(({ capabilities }) => capabilities)
  const rows: [string, (one: Capabilities) => string][] = [
    ['a tenant is called', ({ tenant }) => tenant],
    ['client id', ({ client_id }) => client_id],
    ['client secret', ({ client_secret }) => client_secret],
    ['port of a loopback redirect URI', ({ loopback_port }) => loopback_port],
    [
      "a machine client's groups are held",
      ({ machine_groups }) => ({ token: 'by the provider, in the token', record: "in the registry's record" })[machine_groups],
    ],
    ["the server's own policy, the same for every client", ({ server_wide }) => server_wide.map(code).join(', ') || 'nothing'],
    ['signature algorithms', ({ token }) => token.algorithms.join(', ')],
    ['groups claim', ({ token }) => code(token.groups_claim)],
    [
      'rights that setting up takes',
      ({ rights }) => [...new Set(Object.values(NEEDS).flatMap((needs) => needs.flatMap((right) => rights[right])))].sort().join(', '),
    ],
  ]
  return table(
    ['', ...columns.map(({ title }) => title)],
    rows.map(([title, cell]) => [title, ...columns.map(cell)]),
  )
}

async function mcpClients(): Promise<string> {
  const rows = Object.values(CLIENTS).map((row: ClientRow) => [
    row.title,
    row.tested,
    `${row.reads.kind === 'command' ? 'a command, which writes' : 'a file,'} ${code(row.reads.file)}`,
    row.static_client_id,
    row.redirects.map(redirect).join('<br>'),
    row.pin ?? 'cannot be pinned',
  ])
  return table(['client', 'tested', 'reads', 'client id', 'redirect URIs', 'callback port'], rows)
}

function redirect(form: RedirectForm): string {
  if (form.kind === 'loopback') return code(`http://${form.host}${form.port === 'pinned' ? '' : `:${form.port}`}${form.path}`)
  return `${code(form.uri)}${form.kind === 'hosted' ? ' (only with `--hosted-redirects`)' : ''}`
}

async function settings(): Promise<string> {
  const rows = (Object.entries(SETTINGS) as [string, Setting][]).map(([name, { meaning, aliases = [], fallback, secret }]) => [
    [name, ...aliases].map(code).join(' or '),
    `${meaning}${secret ? ' (secret)' : ''}`,
    fallback === undefined ? '' : code(fallback),
  ])
  return table(['setting', 'meaning', 'default'], rows)
}

async function errors(): Promise<string> {
  const rows = Object.entries(ERRORS).map(([name, { exit, meaning }]) => [code(name), String(exit), meaning])
  return table(
    ['code', 'exit status', 'meaning'],
    [...rows, ['(interrupted)', String(EXIT_INTERRUPTED), 'stopped by Ctrl-C; run it again, it takes up where it was']],
  )
}

/** A GitHub table; a bar in a cell is escaped, a line break is not allowed. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replace(/\s*\n\s*/g, ' ').replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

/** The words before the first full stop, colon or semicolon. */
function firstSentence(text: string): string {
  return text.split(/[.:;](?:\s|$)/)[0] ?? ''
}

const code = (text: string) => `\`${text}\``
