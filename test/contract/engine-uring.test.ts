import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { engineContract } from './engine.ts';

describe.runIf(loadUring().available)('the uring engine', () => engineContract('uring'));
