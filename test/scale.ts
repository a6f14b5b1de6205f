/** How many random cases a test takes: a tenth of what it promises, all of it under `npm run test:exhaustive`. */
export const EXHAUSTIVE = process.env['EXHAUSTIVE'] === 'true'

export const scaled = (full: number): number => (EXHAUSTIVE ? full : Math.ceil(full / 10))
