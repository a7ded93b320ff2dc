import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { engineContract } from './engine.ts';

/** So small that submissions, completions and buffers run out all the time. What they cannot break is not looked at again. */
const sizes = { submissions: 4, completions: 8, buffers: 4 };

describe.runIf(loadUring().available)('the uring engine with very small rings', () =>
  engineContract('uring', sizes),
);
