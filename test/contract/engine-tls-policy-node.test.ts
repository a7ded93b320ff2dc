import { describe } from 'vitest';
import { tlsPolicyContract } from './engine-tls-policy.ts';

describe('node engine', () => tlsPolicyContract('node'));
