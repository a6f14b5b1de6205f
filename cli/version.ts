/** The version, from the package's own file: one folder up from the sources, two up from what is built. */
import { existsSync, readFileSync } from 'node:fs'

const places = ['../package.json', '../../package.json'].map((place) => new URL(place, import.meta.url))
const found = places.find((place) => existsSync(place))

/** As package.json says it: `0.1.0`. */
export const version: string = found ? (JSON.parse(readFileSync(found, 'utf8')) as { version: string }).version : 'unknown'
