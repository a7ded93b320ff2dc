import { describe } from 'vitest';
import { headerContract } from './engine-headers.ts';

describe('PROXY protocol headers at the node engine', () => headerContract('node'));
