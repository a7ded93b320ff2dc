import { afterAll } from 'vitest';
import { endAll } from './process.ts';

/** Everything that a test file started ends with the file, also when a test failed. A setup file. */
afterAll(endAll);
