/** The contract on the reference tenant: what holds here is what the suite means. */

import { memoryUnderTest } from './memory.js'
import { contractSuite } from './suite.js'

contractSuite('The reference tenant', () => memoryUnderTest())
