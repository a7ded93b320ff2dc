import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { engineLimits } from './engine-limits.ts';

describe.runIf(loadUring().available)('the limits of the uring engine', () => engineLimits('uring'));
