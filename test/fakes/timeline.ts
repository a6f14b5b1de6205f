/**
 * One line of time through tenant and sink: every step is written down, and any one of them can be made to fail,
 * before it has an effect or after it (the answer is lost). Counting first, then failing at each step in turn, covers
 * every place where a run can be cut off.
 */

/** Where a failing step breaks: before its effect, or after it. */
export type Moment = 'before' | 'after'
/** Where a run dies: before a step is sent, when it is sent (it has its effect, nobody hears of it), or once it is answered. */
export const DEATHS = ['before', 'sent', 'answered'] as const
export type Death = (typeof DEATHS)[number]

/** What a run that was killed ends with; nothing of the product knows it, so nothing tries again. */
export class Killed extends Error {}

export interface Timeline {
  /** Steps begun, in order: `create machine-client agent`, `sink savePending`. */
  readonly steps: readonly string[]
  /** Does `work` as the step of this name. */
  during<T>(name: string, work: () => T | Promise<T>): Promise<T>
  /** From now on, the step for which `when` is true throws `error()` at that moment, once. */
  failOnce(when: (name: string, index: number) => boolean, moment: Moment, error: () => Error): void
  /** From now on, every step for which `judge` names a moment throws `error()` at that moment. */
  failWhere(judge: (name: string) => Moment | undefined, error: () => Error): void
  /** The run dies at the step of this number: nothing is begun or answered after that. */
  killAt(index: number, death: Death): void
  /** Forgets the steps so far and every failure; a run that was killed must have ended. */
  reset(): void
}

/** An empty timeline on which nothing fails. */
export function timeline(): Timeline {
  const steps: string[] = []
  let once: { when: (name: string, index: number) => boolean; moment: Moment; error: () => Error } | undefined
  let each: { judge: (name: string) => Moment | undefined; error: () => Error } | undefined
  let kill: { index: number; death: Death } | undefined
  let isDead = false

  const strike = (name: string, index: number, judged: Moment | undefined, moment: Moment): void => {
    if (isDead) throw new Killed()
    if (judged === moment && each) throw each.error()
    if (once?.moment !== moment || !once.when(name, index)) return
    const { error } = once
    once = undefined
    throw error()
  }
  const die = (index: number, death: Death): void => {
    if (kill?.index === index && kill.death === death) isDead = true
  }
  return {
    steps,
    async during(name, work) {
      if (isDead) throw new Killed()
      const index = steps.push(name) - 1
      const judged = each?.judge(name)
      die(index, 'before')
      strike(name, index, judged, 'before')
      die(index, 'sent')
      const result = await work()
      die(index, 'answered')
      strike(name, index, judged, 'after')
      return result
    },
    failOnce(when, moment, error) {
      once = { when, moment, error }
    },
    failWhere(judge, error) {
      each = { judge, error }
    },
    killAt(index, death) {
      kill = { index, death }
    },
    reset() {
      steps.length = 0
      once = undefined
      each = undefined
      kill = undefined
      isDead = false
    },
  }
}
