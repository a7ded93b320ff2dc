import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { tlsLinksContract } from './engine-tls-links.ts';

describe.runIf(loadUring().available)('uring engine', () => tlsLinksContract('uring'));
