/**
 * One line of time through tenant and sink: every step is written down, and any one of them can be made to fail,
 * before it has an effect or after it (the answer is lost). Counting first, then failing at each step in turn, covers
 * every place where a run can be cut off.
 */

/** Where a failing step breaks: before its effect, or after it. */
export type Moment = 'before' | 'after'

export interface Timeline {
  /** Steps begun, in order: `create machine-client agent`, `sink savePending`. */
  readonly steps: readonly string[]
  /** Does `work` as the step of this name. */
  during<T>(name: string, work: () => T | Promise<T>): Promise<T>
  /** From now on, the step for which `when` is true throws `error()` at that moment, once. */
  failOnce(when: (name: string, index: number) => boolean, moment: Moment, error: () => Error): void
  /** Forgets the steps so far and any failure that did not happen. */
  reset(): void
}

/** An empty timeline on which nothing fails. */
export function timeline(): Timeline {
  const steps: string[] = []
  let fault: { when: (name: string, index: number) => boolean; moment: Moment; error: () => Error } | undefined
  const strike = (name: string, index: number, moment: Moment): void => {
    if (fault?.moment !== moment || !fault.when(name, index)) return
    const { error } = fault
    fault = undefined
    throw error()
  }
  return {
    steps,
    async during(name, work) {
      const index = steps.push(name) - 1
      strike(name, index, 'before')
      const result = await work()
      strike(name, index, 'after')
      return result
    },
    failOnce(when, moment, error) {
      fault = { when, moment, error }
    },
    reset() {
      steps.length = 0
      fault = undefined
    },
  }
}
