/** What differs and what follows from it: the diff as a law, the rules of `changeFor` as a table, order and words of a plan. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { type Change, changeFor, diff, inOrder, keyText, type Observed, renderChange, type Wanted } from '../../core/plan.js'
import { isRef, type Kind, ORDER, type Resources } from '../../core/resources.js'

const scalar = fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.constant(null))
const list = fc.array(fc.string(), { maxLength: 6 })
const field = fc.string({ minLength: 1 }).filter((name) => !(name in {}))
const record = fc.dictionary(field, fc.oneof(scalar, list), { maxKeys: 8 })

describe('diff', () => {
  test('nothing differs from itself', () => {
    fc.assert(
      fc.property(record, (one) => {
        expect(diff(structuredClone(one), one)).toEqual([])
      }),
    )
  })
  test('lists are sets: order and repetition make no difference', () => {
    const shuffled = list.chain((items) =>
      fc.tuple(fc.constant(items), fc.shuffledSubarray([...items, ...items], { minLength: items.length * 2 })),
    )
    fc.assert(
      fc.property(shuffled, ([items, others]) => {
        expect(diff({ uris: others }, { uris: items })).toEqual([])
      }),
    )
  })
  test('a set with another element differs', () => {
    fc.assert(
      fc.property(list, fc.string(), (items, extra) => {
        fc.pre(!items.includes(extra))
        expect(diff({ uris: items }, { uris: [...items, extra] })).toHaveLength(1)
        expect(diff({ uris: [...items, extra] }, { uris: items })).toHaveLength(1)
      }),
    )
  })
  test('one element with a comma is not two elements', () => {
    expect(diff({ uris: ['a', 'b'] }, { uris: ['a,b'] })).toHaveLength(1)
    expect(diff({ uris: ['a","b'] }, { uris: ['a', 'b'] })).toHaveLength(1)
  })
  test('only wanted fields count, whatever else the object has', () => {
    fc.assert(
      fc.property(record, record, (foreign, wanted) => {
        expect(diff({ ...foreign, ...wanted }, wanted)).toEqual([])
      }),
    )
  })
  test('what is found is exactly what turns the one into the other', () => {
    fc.assert(
      fc.property(record, record, (current, wanted) => {
        const changes = diff<Record<string, unknown>>(current, wanted)
        const mended = { ...current, ...Object.fromEntries(changes.map((change) => [change.field, change.to])) }
        expect(diff<Record<string, unknown>>(mended, wanted)).toEqual([])
        for (const change of changes) expect(change.to).toEqual(wanted[change.field])
      }),
    )
  })
  test('a field that is not wanted (undefined) is not compared', () => {
    expect(diff<{ a: number | undefined; b: number }>({ a: 1, b: 2 }, { a: undefined, b: 2 })).toEqual([])
  })
  test('absent and null are the same, and shown as null', () => {
    expect(diff<Record<string, unknown>>({}, { description: null })).toEqual([])
    expect(diff<Record<string, unknown>>({}, { description: 'x' })).toEqual([{ field: 'description', from: null, to: 'x' }])
  })
  test('keys of an object have no order', () => {
    expect(diff({ o: { a: 1, b: [2, 3] } }, { o: { b: [3, 2], a: 1 } })).toEqual([])
  })
  test('a string is not its look-alike of another type', () => {
    expect(diff<Record<string, unknown>>({ a: 'true' }, { a: true })).toHaveLength(1)
    expect(diff<Record<string, unknown>>({ a: '1' }, { a: 1 })).toHaveLength(1)
    expect(diff<Record<string, unknown>>({ a: [] }, { a: '' })).toHaveLength(1)
  })
})

describe('changeFor', () => {
  const spec = { client_id: 'agent', name: 'Agent', groups: ['a'] }
  const key = 'agent'
  const wanted = {
    present: { kind: 'm2m-record', key, ensure: 'present', spec },
    exists: { kind: 'm2m-record', key, ensure: 'exists', spec },
    referenced: { kind: 'm2m-record', key, ensure: 'referenced' },
    absent: { kind: 'm2m-record', key, ensure: 'absent' },
  } as const satisfies Record<string, Wanted<'m2m-record'>>
  const there = (owner: Observed['owner'], groups = ['a']): Observed<'m2m-record'> => ({ id: '1', owner, spec: { ...spec, groups } })
  const world = {
    missing: undefined,
    'ours, as wanted': there('us'),
    'ours, different': there('us', ['b']),
    "nobody's": there('nobody', ['b']),
    "somebody's": there({ other: 'the Okta sync' }, ['b']),
  }
  const outcome = (one: Wanted<'m2m-record'>, current: Observed<'m2m-record'> | undefined): string => {
    try {
      return changeFor(one, current)?.action ?? 'nothing'
    } catch (error) {
      if (isToolkitError(error)) return error.code
      throw error
    }
  }
  const table: [keyof typeof wanted, keyof typeof world, string][] = [
    ['present', 'missing', 'create'],
    ['present', 'ours, as wanted', 'nothing'],
    ['present', 'ours, different', 'update'],
    ['present', "nobody's", 'conflict'],
    ['present', "somebody's", 'owned_elsewhere'],
    ['exists', 'missing', 'create'],
    ['exists', 'ours, as wanted', 'nothing'],
    ['exists', 'ours, different', 'nothing'],
    ['exists', "nobody's", 'nothing'],
    ['exists', "somebody's", 'nothing'],
    ['referenced', 'missing', 'not_found'],
    ['referenced', 'ours, as wanted', 'nothing'],
    ['referenced', 'ours, different', 'nothing'],
    ['referenced', "nobody's", 'nothing'],
    ['referenced', "somebody's", 'nothing'],
    ['absent', 'missing', 'nothing'],
    ['absent', 'ours, as wanted', 'remove'],
    ['absent', 'ours, different', 'remove'],
    ['absent', "nobody's", 'conflict'],
    ['absent', "somebody's", 'owned_elsewhere'],
  ]
  test('the table has every pair', () => {
    expect(table).toHaveLength(Object.keys(wanted).length * Object.keys(world).length)
  })
  test.for(table)('%s and %s: %s', ([ensure, state, expected]) => {
    expect(outcome(wanted[ensure], world[state])).toBe(expected)
  })

  test("adopting takes what is nobody's, never what is somebody's", () => {
    const adopting = { ...wanted.present, adopt: true } as const
    expect(changeFor(adopting, world["nobody's"])).toMatchObject({
      action: 'adopt',
      fields: [{ field: 'groups', from: ['b'], to: ['a'] }],
    })
    expect(outcome(adopting, world["somebody's"])).toBe('owned_elsewhere')
  })
  test('an update names the drifted field only', () => {
    expect(changeFor(wanted.present, world['ours, different'])).toEqual({
      action: 'update',
      kind: 'm2m-record',
      key,
      fields: [{ field: 'groups', from: ['b'], to: ['a'] }],
    })
  })
  test('a create names every wanted field', () => {
    const change = changeFor(wanted.present, undefined)
    expect(change?.fields.map((one) => one.field)).toEqual(['client_id', 'name', 'groups'])
  })
  test('a missing group says how it can be made', () => {
    const group = { kind: 'group', key: 'data', ensure: 'referenced' } as const
    expect(() => changeFor(group, undefined)).toThrow(
      expect.objectContaining({ code: 'not_found', hint: expect.stringContaining('--create-groups') }),
    )
  })
  test('an object of another owner is told with the owner', () => {
    expect(() => changeFor(wanted.present, world["somebody's"])).toThrow(
      expect.objectContaining({ details: { kind: 'm2m-record', key, owner: 'the Okta sync' } }),
    )
  })
})

describe('keep', () => {
  const client = (redirect_uris: readonly string[]): Resources['public-client'] => ({
    client_name: 'IDE',
    enabled: true,
    redirect_uris,
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'none',
  })
  const wanting = (uris: readonly string[]): Wanted<'public-client'> => ({
    kind: 'public-client',
    key: 'ide',
    ensure: 'present',
    spec: client(uris),
    keep: { redirect_uris: (uri) => typeof uri === 'string' && uri.startsWith('keep:') },
  })
  const seen = (uris: readonly string[]): Observed<'public-client'> => ({ id: '1', owner: 'us', spec: client(uris) })

  test('an element that may stay is no reason to write', () => {
    expect(changeFor(wanting(['a']), seen(['keep:1', 'a']))).toBeUndefined()
  })
  test('when something else is written, what may stay is written with it', () => {
    const change = changeFor(wanting(['a', 'b']), seen(['a', 'keep:1']))
    expect(new Set(change?.fields[0]?.to as string[])).toEqual(new Set(['a', 'b', 'keep:1']))
  })
  test('an element that may not stay is removed', () => {
    const change = changeFor(wanting(['a']), seen(['a', 'foreign', 'keep:1']))
    expect(new Set(change?.fields[0]?.to as string[])).toEqual(new Set(['a', 'keep:1']))
  })
  test('what may stay is never added', () => {
    expect(changeFor(wanting(['a']), seen(['a']))).toBeUndefined()
  })
  test('for any sets: the result is what is wanted, plus what was there and may stay', () => {
    const uris = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'keep:1', 'keep:2', 'foreign'))
    fc.assert(
      fc.property(uris, uris, (want, have) => {
        const expected = new Set([...want, ...have.filter((uri) => uri.startsWith('keep:'))])
        const change = changeFor(wanting(want), seen(have))
        expect(new Set((change?.fields[0]?.to as string[] | undefined) ?? have)).toEqual(expected)
      }),
    )
  })
})

describe('order and words', () => {
  const change = (action: Change['action'], kind: Kind): Change => ({ action, kind, key: `${action} ${kind}`, fields: [] })
  test('creations follow their dependencies, removals go the other way, after everything else', () => {
    const all = (['remove', 'create'] as const).flatMap((action) => [...ORDER].reverse().map((kind) => change(action, kind)))
    const expected = [...ORDER.map((kind) => change('create', kind)), ...[...ORDER].reverse().map((kind) => change('remove', kind))]
    expect(inOrder(all)).toEqual(expected)
  })
  test('a plan shows for a set what goes and what comes', () => {
    const fields = [{ field: 'groups', from: ['a', 'b'], to: ['b', 'c'] }]
    expect(renderChange({ action: 'update', kind: 'm2m-record', key: 'agent', fields })).toEqual([
      '~ m2m-record agent',
      '    groups: -a +c',
    ])
  })
  test('a plan shows a value that is not known yet as such', () => {
    const ref = { from: { kind: 'machine-client', key: 'agent' }, field: 'client_id' } as const
    expect(isRef(ref)).toBe(true)
    expect(keyText(ref)).toBe('(client_id of machine-client agent)')
    const lines = renderChange({
      action: 'create',
      kind: 'm2m-record',
      key: keyText(ref),
      fields: [{ field: 'client_id', from: null, to: ref }],
    })
    expect(lines).toEqual([
      '+ m2m-record (client_id of machine-client agent)',
      '    client_id: (client_id of machine-client agent), known after apply',
    ])
  })
  test.for([
    [{ field: 'enabled', from: false, to: true }, 'enabled: false -> true'],
    [{ field: 'description', from: 'x', to: null }, 'description: x -> (none)'],
    [{ field: 'groups', from: null, to: ['a'] }, 'groups: +a'],
  ] as const)('%o is shown as "%s"', ([one, expected]) => {
    expect(renderChange({ action: 'update', kind: 'm2m-record', key: 'k', fields: [one] })[1]).toBe(`    ${expected}`)
  })
  test.for([
    ['a line of its own', 'innocent\n- group everyone'],
    ['a terminal command', 'name\u001b[2K\u001b[1A'],
    ['a right-to-left override', 'name\u202egnihton'],
  ] as const)("a vendor's text cannot put %s into a plan", ([, hostile]) => {
    const fields = [
      { field: 'client_name', from: hostile, to: 'Agent' },
      { field: 'redirect_uris', from: [hostile], to: [] },
    ]
    const lines = renderChange({ action: 'update', kind: 'machine-client', key: 'agent', fields })
    expect(lines).toHaveLength(3)
    for (const text of lines) expect(text).not.toMatch(/[\n\u001b\u202e]/)
  })
})
