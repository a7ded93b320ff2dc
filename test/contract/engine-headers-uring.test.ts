import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { headerContract } from './engine-headers.ts';

describe.runIf(loadUring().available)('PROXY protocol headers at the uring engine', () =>
  headerContract('uring'),
);
