/** Random worlds and wishes of every kind: what is there and whose, what is wanted of it, where its secret lies, what may drift. */
import fc from 'fast-check'
import type { Change, Wanted } from '../../core/plan.js'
import { type Kind, ORDER, type Resources } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import {
  absent,
  environmentFile,
  machineClient,
  type Present,
  person,
  publicClient,
  type Rig,
  rig,
  rotated,
  serverRecord,
  tenant,
  webClient,
} from '../fakes/converging.js'
import { memorySink } from '../fakes/memory-sink.js'

/** A group that is always there, for memberships; nobody's. */
const MEMBERS = 'members'

const group = (name: string): Present<'group'> => ({ kind: 'group', key: name, ensure: 'present', spec: { name, description: 'ours' } })
const machine = (name: string): Present<'machine-client'> => {
  const wanted = machineClient(name)
  return { ...wanted, spec: { ...wanted.spec, groups: [MEMBERS] } }
}
const record: Present<'m2m-record'> = {
  kind: 'm2m-record',
  key: 'agent-one',
  ensure: 'present',
  spec: { client_id: 'agent-one', name: 'Agent', groups: ['data'] },
}

type Kinds = { readonly [K in Kind]: readonly Present<K>[] }
const SUBJECTS: Kinds = {
  tenant: [tenant('main-tenant')],
  group: [group('eng'), group('eng/platform'), group('ops')],
  'public-client': [publicClient('ide-one'), publicClient('ide-two')],
  'web-client': [webClient('gateway')],
  'machine-client': [machine('agent-one'), machine('agent-two')],
  user: [person('ada', [MEMBERS]), person('bob', [MEMBERS])],
  'm2m-record': [record],
  'server-record': [serverRecord('/demo', 'ide-one')],
  'registry-environment': [environmentFile('registry.env')],
}
/** The server's record refers to a client that may be missing. */
SUBJECTS['server-record'].forEach(({ spec }) => {
  spec.oauth_client_id = 'ide-one'
})

/** Two values that each field may drift to; neither is the wanted one. */
const DRIFTS: { readonly [K in Kind]: readonly [Partial<Resources[K]>, Partial<Resources[K]>] } = {
  tenant: [{ access_token_lifetime: 1 }, { access_token_lifetime: 2 }],
  group: [{ description: 'theirs' }, { description: 'edited' }],
  'public-client': [{ redirect_uris: ['http://evil.example/'] }, { redirect_uris: [] }],
  'web-client': [{ enabled: false }, { client_name: 'edited' }],
  'machine-client': [{ groups: [] }, { enabled: false }],
  user: [{ email: 'drifted@example.com' }, { email: 'edited@example.com' }],
  'm2m-record': [{ groups: [] }, { groups: ['edited'] }],
  'server-record': [{ server_name: 'drifted' }, { server_name: 'edited' }],
  'registry-environment': [{ settings: {} }, { settings: { AUTH_PROVIDER: 'edited' } }],
}

const wish = fc.oneof(
  { arbitrary: fc.constantFrom('present' as const, 'absent' as const, 'nothing' as const), weight: 12 },
  { arbitrary: fc.constantFrom('adopt' as const, 'exists' as const, 'referenced' as const, 'rotated' as const), weight: 3 },
)
const rest = { drifted: fc.boolean(), file: fc.constantFrom('none', 'empty', 'saved', 'stale', 'pending') }
/** Mostly what can be done: of one foreign object alone the whole plan is refused. */
const slot = fc.oneof(
  { arbitrary: fc.record({ there: fc.constantFrom('missing' as const, 'ours' as const, 'ours' as const), wish, ...rest }), weight: 30 },
  { arbitrary: fc.record({ there: fc.constant('nobodys' as const), wish: fc.constant('adopt' as const), ...rest }), weight: 1 },
  { arbitrary: fc.record({ there: fc.constantFrom('nobodys' as const, 'theirs' as const), wish, ...rest }), weight: 1 },
)

interface Slot {
  readonly there: 'missing' | 'ours' | 'nobodys' | 'theirs'
  readonly wish: 'present' | 'absent' | 'nothing' | 'adopt' | 'exists' | 'referenced' | 'rotated'
  readonly drifted: boolean
  readonly file: string
  readonly subject: Present<Kind>
}
export type Scene = readonly Slot[]

const subjects: readonly Present<Kind>[] = ORDER.flatMap((kind): readonly Present<Kind>[] => SUBJECTS[kind])

/** A slot for each subject. */
export const scene: fc.Arbitrary<Scene> = fc
  .array(slot, { minLength: subjects.length, maxLength: subjects.length })
  .map((slots) => withParents(slots.flatMap((one, index) => subjects.slice(index, index + 1).map((subject) => ({ ...one, subject })))))

/** A group inside another is there, or is made, only where the outer one is. */
function withParents(slots: readonly Slot[]): Scene {
  const inner = slots.find(({ subject }) => subject.key === 'eng/platform')
  const makes = ({ there, wish }: Slot) => there === 'missing' && !['absent', 'nothing', 'referenced'].includes(wish)
  const isMade = inner !== undefined && makes(inner)
  return slots.map((one) => {
    if (one.subject.key !== 'eng') return one
    const outer = inner?.there !== 'missing' && one.there === 'missing' ? { ...one, there: 'ours' as const } : one
    const isKept = outer.there === 'missing' ? makes(outer) : outer.wish !== 'absent'
    return isMade && !isKept ? { ...outer, wish: 'exists' } : outer
  })
}

const OWNERS = { ours: 'us', nobodys: 'nobody', theirs: { other: 'team-b' } } as const
const hasFile = ({ kind }: Present<Kind>) => kind === 'machine-client' || kind === 'web-client' || kind === 'user'
const canRotate = ({ kind }: Present<Kind>) => kind === 'machine-client' || kind === 'web-client'
const secretOf = (subject: Present<Kind>) => (canRotate(subject) ? `the-secret-of-${String(subject.key)}` : undefined)

/** The world as the scene has it, and what is wanted of it; the timeline is empty. */
export async function setUp(one: Scene): Promise<{ world: Rig; wanted: readonly Wanted[] }> {
  const world = rig({ page: 2 })
  world.plant('group', { name: MEMBERS }, 'nobody')
  const wanted: Wanted[] = []
  for (const each of one) {
    const { subject } = each
    if (each.there !== 'missing') {
      const drift = each.drifted ? DRIFTS[subject.kind][0] : {}
      world.plant(subject.kind, { ...subject.spec, ...drift } as Resources[Kind], OWNERS[each.there], secretOf(subject))
    }
    wanted.push(...(await wishOf(each, world)))
  }
  world.line.reset()
  return { world, wanted }
}

async function wishOf({ subject, wish: asked, file }: Slot, world: Rig): Promise<Wanted[]> {
  const key = String(subject.key)
  const chosen = asked === 'rotated' && !canRotate(subject) ? 'present' : asked
  if (chosen === 'nothing') return []
  if (chosen === 'absent') return [absent(subject.kind, key)]
  if (chosen === 'referenced') return [{ kind: subject.kind, key, ensure: 'referenced' }]
  if (chosen === 'exists') return [{ ...subject, key, ensure: 'exists' } as Wanted]
  const sink = memorySink(world.line, `secrets/${key}.json`)
  if (file === 'saved') await sink.save(new Secret(secretOf(subject) ?? 'first-password'), key)
  if (file === 'stale') await sink.save(new Secret('of-another-day'), key)
  if (file === 'pending') await sink.savePending(new Secret('left-pending'))
  if (chosen === 'rotated') return [rotated(subject.kind === 'web-client' ? 'web-client' : 'machine-client', key, sink)]
  const adopt = chosen === 'adopt' ? { adopt: true } : {}
  return [{ ...subject, ...adopt, ...(hasFile(subject) && file !== 'none' ? { sink } : {}) }]
}

/** Something that happens behind our back, to the object of this key. */
interface Drift {
  readonly key: string
  happen(): void
}

/** Everything that may happen to this world which makes another plan of the one that was shown. */
export function drifts(one: Scene, world: Rig, changes: readonly Change[]): Drift[] {
  return one.flatMap(({ subject, there: owner, wish: asked, file }): Drift[] => {
    const key = String(subject.key)
    const { kind } = subject
    const isThere = owner !== 'missing'
    const change = changes.find((each) => each.kind === kind && each.key === key)
    const may = (is: boolean, happen: () => void): Drift[] => (is ? [{ key, happen }] : [])
    const isManaged = asked === 'present' || asked === 'adopt'
    const isSavedRight = isManaged && isThere && file === 'saved' && canRotate(subject) && change === undefined
    return [
      ...may(isManaged && isThere, () => world.meddle(kind, key, DRIFTS[kind][1])),
      ...may(asked !== 'nothing' && asked !== 'exists' && isThere, () => world.lose(kind, key)),
      ...may(isThere && !['nothing', 'exists', 'referenced'].includes(asked), () => world.disown(kind, key, { other: 'team-c' })),
      ...may(!isThere && change?.action === 'create', () => world.plant(kind, subject.spec as Resources[Kind], 'us', secretOf(subject))),
      ...may(!isThere && change?.action === 'create' && isManaged, () =>
        world.plant(kind, subject.spec as Resources[Kind], { other: 'team-c' }),
      ),
      ...may(isSavedRight, () => world.reset(kind, key, 'set-in-the-console')),
    ]
  })
}
