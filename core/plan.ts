/**
 * Wanted against observed: which changes, in words and as data. Pure; nothing here calls a vendor.
 * The same diff serves plan, apply, check and verify.
 */
import { ToolkitError } from './errors.js'
import { cleanText } from './foreign-text.js'
import { isRef, type Kind, ORDER, type Ref, type Resources } from './resources.js'
import type { Secret } from './secret.js'
import type { SecretSink } from './sink.js'

/**
 * What should be true of one object. `key` is its natural key, unique within the kind: the client id where it can be
 * chosen, else the name. A key may itself be a reference to an id that is issued elsewhere in the same plan.
 */
export type Wanted<K extends Kind = Kind> = {
  [P in K]:
    | { kind: P; key: string | Ref; ensure: 'present'; spec: Resources[P]; adopt?: boolean; sink?: SecretSink; keep?: Keep }
    /** Created when missing; one that is there may belong to anyone and stays as it is. */
    | { kind: P; key: string; ensure: 'exists'; spec: Resources[P] }
    /** Must exist, may belong to anyone; never marked, changed or removed. */
    | { kind: P; key: string; ensure: 'referenced' }
    | { kind: P; key: string; ensure: 'absent' }
    /** A client of ours gets a new secret, once, whatever it has. */
    | { kind: P; key: string; ensure: 'rotated'; sink: SecretSink }
}[K]

/** Elements of a set-valued field that may stay although they are not wanted, by field. */
export type Keep = { readonly [field: string]: (element: unknown) => boolean }

export interface Observed<K extends Kind = Kind> {
  /** The vendor's own id; stays inside the reconciler. */
  readonly id: string
  readonly owner: 'us' | 'nobody' | { readonly other: string }
  readonly spec: Resources[K]
  /** A client's secret, where the vendor shows it. */
  readonly secret?: Secret
  /** Keys of objects of the same kind that would go away with it. */
  readonly holds?: readonly string[]
}

/** The client id of an observed object, where its kind has one and it is known. */
export function clientIdOf(observed: Observed | undefined): string | undefined {
  return observed && 'client_id' in observed.spec ? subjectOf(observed) : undefined
}

/** Whose a secret is: the client id, or the user name of a person. */
export function subjectOf({ spec }: { readonly spec: Observed['spec'] }): string | undefined {
  if ('username' in spec) return spec.username
  return 'client_id' in spec && typeof spec.client_id === 'string' ? spec.client_id : undefined
}

/** What a create gave: `spec` holds what the vendor decided, `secret` what it issued. */
export interface Created<K extends Kind> {
  readonly spec?: Partial<Resources[K]>
  readonly secret?: Secret
}

/** One kind at one vendor. Natural keys go in; vendor ids stay inside. */
export interface Reconciler<K extends Kind> {
  /**
   * Bulk: lists, never one call a resource. Keys without a match are absent from the map.
   * @throws ambiguous when two objects share a key; forbidden when the right to see is missing (an empty list is no proof)
   */
  observe(keys: readonly string[]): Promise<ReadonlyMap<string, Observed<K>>>
  /** `secret` is given where the vendor lets us choose it; then it is already saved. @throws conflict when the name is taken */
  create(spec: Resources[K], secret?: Secret): Promise<Created<K>>
  /**
   * Sends `fields` only; every other field of the object stays as it was. An object of nobody gets our mark. `secret` is the
   * saved one of an object that shows none: a client that was made public lost its own.
   */
  update(current: Observed<K>, fields: Partial<Resources[K]>, secret?: Secret): Promise<void>
  remove(current: Observed<K>): Promise<void>
  /**
   * Who makes the secret; absent for kinds without one. `initial` is chosen by us and changed by its owner: a person's
   * first password, which is never looked at again.
   */
  readonly secret?: 'chosen' | 'issued' | 'initial'
  /** Replaces a client's secret by one that is saved already; the old one ends at once unless the vendor keeps two. */
  setSecret?(current: Observed<K>, secret: Secret): Promise<void>
  /** Keys of everything that carries our mark; absent where there is no place for one. */
  owned?(): Promise<readonly string[]>
  /** @throws forbidden when reads alone already tell that the credential may not make these changes, all of this kind */
  checkWrite?(changes: readonly Change[]): Promise<void>
}
export type Reconcilers = { readonly [K in Kind]?: Reconciler<K> }

export interface FieldChange {
  readonly field: string
  readonly from?: unknown
  readonly to: unknown
}
export type Change =
  | { readonly action: 'create' | 'remove'; readonly kind: Kind; readonly key: string; readonly fields: readonly FieldChange[] }
  /** `adopt` is an update that also makes an object of nobody ours. */
  | { readonly action: 'update' | 'adopt'; readonly kind: Kind; readonly key: string; readonly fields: readonly FieldChange[] }
  | { readonly action: 'save_secret' | 'rotate_secret'; readonly kind: Kind; readonly key: string; readonly fields: readonly FieldChange[] }

/** Something a person must do, with the exact words to type. Shown with the plan; never blocks convergence. */
export interface ManualStep {
  readonly title: string
  readonly steps: readonly string[]
}

/** Arrays are sets here (redirect URIs come back in another order); object keys have no order. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${[...new Set(value.map(canonical))].sort().join()}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join()}}`
  }
  return JSON.stringify(value ?? null)
}

/** Only the fields that `wanted` sets. An unresolved reference differs from anything. */
export function diff<T extends object>(current: Partial<T>, wanted: T): FieldChange[] {
  return Object.entries(wanted)
    .filter(([field, to]) => to !== undefined && canonical(current[field as keyof T]) !== canonical(to))
    .map(([field, to]) => ({ field, from: current[field as keyof T] ?? null, to }))
}

/**
 * The change that one wanted object needs; undefined when there is none.
 * @throws not_found for a missing reference, owned_elsewhere, conflict for an object without our mark
 */
export function changeFor<K extends Kind>(wanted: Wanted<K>, current: Observed<K> | undefined): Change | undefined {
  const { kind } = wanted
  const key = keyText(wanted.key)
  if (wanted.ensure === 'referenced') {
    if (current) return undefined
    throw new ToolkitError('not_found', `${kind} ${key} does not exist`, { kind, key }, missingHint(kind))
  }
  if (wanted.ensure === 'exists' && current) return undefined
  if (!current) {
    if (wanted.ensure === 'absent') return undefined
    if (wanted.ensure === 'rotated') throw new ToolkitError('not_found', `${kind} ${key} does not exist`, { kind, key }, missingHint(kind))
    return { action: 'create', kind, key, fields: diff({}, wanted.spec) }
  }
  if (typeof current.owner === 'object') {
    const owner = current.owner.other
    throw new ToolkitError('owned_elsewhere', `${kind} ${key} belongs to ${owner}`, { kind, key, owner }, 'change it there')
  }
  const adopting = current.owner === 'nobody'
  if (adopting && !(wanted.ensure === 'present' && wanted.adopt === true)) {
    throw new ToolkitError(
      'conflict',
      `${kind} ${key} exists and carries no mark of ours; it was left alone`,
      { kind, key },
      wanted.ensure === 'present' ? 'look at it, then repeat with --adopt, or choose another name' : 'remove it by hand if nobody needs it',
    )
  }
  if (wanted.ensure === 'rotated') return { action: 'rotate_secret', kind, key, fields: [] }
  if (wanted.ensure !== 'present') return { action: 'remove', kind, key, fields: [] }
  const fields = diff<Resources[Kind]>(current.spec, withKept(wanted.spec, current.spec, wanted.keep))
  if (adopting) return { action: 'adopt', kind, key, fields }
  return fields.length > 0 ? { action: 'update', kind, key, fields } : undefined
}

function withKept<T extends object>(spec: T, current: Partial<T>, keep: Keep = {}): T {
  const merged = Object.entries(keep).flatMap(([field, stays]) => {
    const [wanted, there] = [spec[field as keyof T], current[field as keyof T]]
    return Array.isArray(wanted) && Array.isArray(there) ? [[field, [...new Set([...wanted, ...there.filter(stays)])]]] : []
  })
  return { ...spec, ...Object.fromEntries(merged) }
}

function missingHint(kind: Kind): string {
  return kind === 'group' ? 'create it first, or let --create-groups do it' : 'create it first'
}

/** A key in words; a reference is the issued id of something that the same plan creates. */
export function keyText(key: string | Ref): string {
  return isRef(key) ? `(${key.field} of ${key.from.kind} ${key.from.key})` : key
}

/**
 * Creates and updates in dependency order, then removals in reverse. Within a kind a key with more slashes is inside
 * another (a nested group): it comes after, and goes before.
 */
export function inOrder<T extends { readonly kind: Kind; readonly action: string; readonly key: string }>(changes: readonly T[]): T[] {
  const rank = ({ kind, action }: T) => (action === 'remove' ? 2 * ORDER.length - ORDER.indexOf(kind) : ORDER.indexOf(kind))
  const depth = ({ key, action }: T) => (action === 'remove' ? -1 : 1) * depthOf(key)
  return [...changes].sort((a, b) => rank(a) - rank(b) || depth(a) - depth(b))
}

/** How deep a key lies inside others of its kind. */
export function depthOf(key: string): number {
  return key.split('/').length
}

/** The change as a text that equals another's only if both do the same to the same object. */
export function fingerprint(change: Change): string {
  return canonical(change)
}

/** UTF-16 units of one value in a plan; a redirect URI is at most 2048 long. */
const LONGEST_VALUE = 4096
const SIGN = { create: '+', update: '~', adopt: '~', remove: '-', save_secret: '~', rotate_secret: '~' } as const
const REMARK: { readonly [A in Change['action']]?: string } = {
  adopt: ' (was nobody’s, becomes ours)',
  rotate_secret: ' (new secret; the old one ends)',
}

/** One change as lines of text: a head, then one line a field. */
export function renderChange(change: Change): string[] {
  const head = `${SIGN[change.action]} ${change.kind} ${change.key}${REMARK[change.action] ?? ''}`
  return [head, ...change.fields.map((field) => `    ${renderField(change.action, field)}`)]
}

function renderField(action: Change['action'], { field, from, to }: FieldChange): string {
  if (action === 'create') return `${field}: ${valueText(to)}`
  if (Array.isArray(to)) {
    const before = Array.isArray(from) ? from : []
    const gone = before.filter((one) => !to.includes(one)).map((one) => `-${oneLine(one)}`)
    const added = to.filter((one) => !before.includes(one)).map((one) => `+${oneLine(one)}`)
    return `${field}: ${[...gone, ...added].join(' ')}`
  }
  return `${field}: ${valueText(from)} -> ${valueText(to)}`
}

function valueText(value: unknown): string {
  if (isRef(value)) return `${keyText(value)}, known after apply`
  if (Array.isArray(value)) return value.length === 0 ? '(none)' : value.map(oneLine).join(' ')
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([name, inner]) => `${name}=${oneLine(inner)}`)
    return pairs.length === 0 ? '(none)' : pairs.join(' ')
  }
  return value === null || value === undefined ? '(none)' : oneLine(value)
}

/** Observed values are somebody else's text: one that holds a line break must not look like a line of the plan. */
function oneLine(value: unknown): string {
  return cleanText(String(value), LONGEST_VALUE).replace(/[\n\t]+/g, ' ')
}
