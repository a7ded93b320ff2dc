import { describe } from 'vitest';
import { tlsContract } from './engine-tls.ts';

describe('node engine', () => tlsContract('node'));
