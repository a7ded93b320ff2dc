import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { tlsContract } from './engine-tls.ts';

describe.runIf(loadUring().available)('uring engine', () => tlsContract('uring'));
