/**
 * JSON or YAML as plain data that knows where each of its values stands, so that a problem is told with line and column.
 * One parser reads both. Nothing here knows what a group is.
 */
import { type ErrorCode, isNode, isPair, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, visit } from 'yaml'
import { cleanText } from '../core/foreign-text.js'

/** One thing wrong, by its offset in the text in UTF-16 units. */
export interface Finding {
  readonly offset: number
  readonly expected: string
  readonly found?: string
}

export type Path = readonly PropertyKey[]

export interface LocatedText {
  /** Plain data; undefined when the text holds none, or cannot be read. */
  readonly value: unknown
  readonly findings: readonly Finding[]
  /** Offset of a value; of the nearest one around it when there is none. */
  valueAt(path: Path): number
  /** Offset of the key of a mapping's entry. */
  keyAt(path: Path): number
  /** Both count from 1; a column is a UTF-16 unit. */
  position(offset: number): { readonly line: number; readonly column: number }
}

/** Never throws: whatever is wrong with the text is among the findings. */
export function locatedText(raw: string): LocatedText {
  const text = raw.replace(/^\ufeff/, '')
  const position = positionsIn(text)
  const unread = (findings: readonly Finding[]): LocatedText => ({ value: undefined, findings, valueAt: () => 0, keyAt: () => 0, position })

  // Reading a file replaces every byte that is not UTF-8 by this character.
  const foreign = text.indexOf('\ufffd')
  if (foreign >= 0) return unread([{ offset: foreign, expected: 'UTF-8 text' }])

  const document = parseDocument(text, {
    schema: 'core', // also below a %YAML 1.1 directive, where `no` would be false and 010 would be 8
    resolveKnownTags: false,
    merge: false,
    prettyErrors: false, // would quote the file, which may be the wrong one and full of secrets
    uniqueKeys: false, // compares each key with each; looked for below, once
  })
  const broken = [...document.errors, ...document.warnings].map(({ code, message, pos: [offset] }) => ({
    offset,
    expected: words(code, message),
  }))
  if (broken.length > 0) return unread(firstOfEachLine(broken, position))

  const { refused, repeated, pairs } = keysAndAliases(document.contents)
  if (refused.length > 0) return unread([...refused, ...repeated])
  const find = (path: Path) => lastOnTheWay(document.contents, path, pairs)
  return {
    value: document.toJS({ maxAliasCount: 0 }) ?? undefined,
    findings: repeated,
    valueAt: (path) => startOf(find(path).value) ?? 0,
    keyAt(path) {
      const { key, value } = find(path)
      return startOf(key) ?? startOf(value) ?? 0
    },
    position,
  }
}

function positionsIn(text: string): LocatedText['position'] {
  const lines = new LineCounter()
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
  return (offset) => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
}

const SYNTAX: { readonly [C in ErrorCode]?: string } = {
  TAB_AS_INDENT: 'spaces for indentation, not tabs',
  MULTIPLE_DOCS: 'one document a file; several groups are a list',
  RESOURCE_EXHAUSTION: 'a group or a list of groups, not this many levels',
  TAG_RESOLVE_FAILED: 'a plain value, without a tag',
  MULTILINE_IMPLICIT_KEY: 'a comma between entries, and each key on one line',
}

function words(code: ErrorCode, message: string): string {
  // Some messages end with a quotation from the file.
  return SYNTAX[code] ?? `JSON or YAML (${cleanText(message.replace(/: ".*$/s, ''), 120)})`
}

/** One slip makes the parser complain several times about its line. */
function firstOfEachLine(findings: readonly Finding[], position: LocatedText['position']): Finding[] {
  const lines = new Map<number, Finding>()
  for (const finding of findings.toSorted((a, b) => a.offset - b.offset)) {
    const { line } = position(finding.offset)
    if (!lines.has(line)) lines.set(line, finding)
  }
  return [...lines.values()]
}

type Pairs = ReadonlyMap<unknown, ReadonlyMap<string, Pair>>

/**
 * Every mapping's pairs by their keys, of a key written twice the last. Aliases are refused altogether: JSON has none, and
 * a few lines of them expand to gigabytes.
 */
function keysAndAliases(contents: Node | null): { refused: Finding[]; repeated: Finding[]; pairs: Pairs } {
  const refused: Finding[] = []
  const repeated: Finding[] = []
  const pairs = new Map<unknown, ReadonlyMap<string, Pair>>()
  visit(contents, {
    Alias(_, node) {
      refused.push({ offset: startOf(node) ?? 0, expected: 'the value itself, written out', found: 'an alias' })
    },
    Map(_, node) {
      const named = new Map<string, Pair>()
      for (const pair of node.items) {
        const offset = startOf(pair.key) ?? 0
        const name = isScalar(pair.key) ? pair.key.value : undefined
        // `__proto__` would get past a schema.
        if (typeof name !== 'string' || name === '__proto__') refused.push({ offset, expected: 'a name for a key' })
        else {
          if (named.has(name)) repeated.push({ offset, expected: 'each key once', found: `${cleanText(name, 64)} again` })
          named.set(name, pair)
        }
      }
      pairs.set(node, named)
    },
  })
  return { refused, repeated, pairs }
}

/** The pair or item at a path; where that leads nowhere, what it reaches. */
function lastOnTheWay(contents: unknown, path: Path, pairs: Pairs): { key?: unknown; value: unknown } {
  let at: { key?: unknown; value: unknown } = { value: contents }
  for (const step of path) {
    const next = isSeq(at.value) ? at.value.items[Number(step)] : pairs.get(at.value)?.get(String(step))
    if (next === undefined) return at
    at = isPair(next) ? { key: next.key, value: next.value ?? next.key } : { value: next }
  }
  return at
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}
