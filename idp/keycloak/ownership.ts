/** Whose an object of the realm is, by the mark among its attributes. */
import type { Observed } from '../../core/plan.js'
import { OWNER_MARK } from '../../core/vocabulary.js'

/** Attributes of a group or a person are lists, those of a client are texts. */
export function ownerOf(attributes: Readonly<Record<string, unknown>> | undefined, profile: string): Observed['owner'] {
  const mark = [attributes?.[OWNER_MARK]].flat()[0]
  if (mark === undefined) return 'nobody'
  return mark === profile ? 'us' : { other: `profile ${String(mark).slice(0, 64)}` }
}
