import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { tlsPolicyContract } from './engine-tls-policy.ts';

describe.runIf(loadUring().available)('uring engine', () => tlsPolicyContract('uring'));
