import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { quotePosix } from '../../ide/quote.js'

/** What the shell makes of the line, as the words that a program behind it gets. */
function wordsIn(shell: 'sh' | 'bash', line: string): string[] {
  return execFileSync(shell, ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1)
}

const pieces = [
  ...[
    '',
    ' ',
    "'",
    '"',
    '`',
    '$',
    '$HOME',
    '$(id)',
    '`id`',
    `\${x}`,
    '\\',
    '\\n',
    '\n',
    '\r',
    '\t',
    '!',
    '!!',
    '#',
    '~',
    '~root',
    '*',
    '?',
    '[a-z]',
    '{a,b}',
  ],
  ...[
    ';',
    '&',
    '&&',
    '|',
    '<',
    '>',
    '(',
    ')',
    '=',
    'a=b',
    '-',
    '--',
    '-n',
    '-e',
    '%s',
    '\x1b[31m',
    'é',
    '日本',
    '🙂',
    '\u202e',
    'a',
    '/',
    '..',
    "''",
    `'"'`,
  ],
]
const word = fc.oneof(
  fc.constantFrom(...pieces),
  fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((some) => some.join('')),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
)
const argv = fc.array(word, { minLength: 1, maxLength: 8 }).filter((words) => !words.join('').includes('\0'))

describe.each(['sh', 'bash'] as const)('in %s', (shell) => {
  test('a program gets back exactly the words that were quoted', () => {
    fc.assert(
      fc.property(argv, (words) => {
        expect(wordsIn(shell, quotePosix(words))).toEqual(words)
      }),
      { numRuns: 40 },
    )
  })

  test.each(pieces)('%j comes back as it was', (piece) => {
    expect(wordsIn(shell, quotePosix([piece, `x${piece}`, `${piece}x`]))).toEqual([piece, `x${piece}`, `${piece}x`])
  })

  test.each(['if', 'done', 'while', 'case', 'x=1'])('%s is a name where the command stands', (name) => {
    const run = () => execFileSync(shell, ['-c', `${quotePosix([name, 'true'])} 2>/dev/null || echo "status $?"`], { encoding: 'utf8' })
    expect(run()).toBe('status 127\n')
  })
})

describe('how it reads', () => {
  test.each([
    [
      ['claude', 'mcp', 'add', '--transport', 'http', 'https://gateway.example.com/a_b/mcp'],
      'claude mcp add --transport http https://gateway.example.com/a_b/mcp',
    ],
    [['codex', '-c', 'mcp_oauth_callback_port=43110'], 'codex -c mcp_oauth_callback_port=43110'],
    [['a', 'two words'], "a 'two words'"],
    [['a', ''], "a ''"],
    [['a', "it's"], `a 'it'\\''s'`],
    [['a', 'https://x.example/?q=1&r=2'], "a 'https://x.example/?q=1&r=2'"],
    [['a', '~'], "a '~'"],
    [['a', '=ls'], "a '=ls'"],
    [['A=b', 'if'], "'A=b' if"],
  ])('%j is %s', (words, line) => {
    expect(quotePosix(words)).toBe(line)
  })

  test('nothing is quoted that is not in need of it, and no words are no line', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[A-Za-z0-9_./:@%+,-]{1,10}$/), { minLength: 1 }), (words) => {
        expect(quotePosix(['x', ...words])).toBe(`x ${words.join(' ')}`)
      }),
    )
    expect(quotePosix([])).toBe('')
  })
})

test('a NUL is refused, and every word that holds one is named', () => {
  try {
    quotePosix(['a', 'b\0', '\0'])
    expect.unreachable()
  } catch (error) {
    if (!isToolkitError(error, 'invalid_input')) throw error
    expect(error.details.problems.map(({ path }) => path)).toEqual(['word 2', 'word 3'])
  }
})
