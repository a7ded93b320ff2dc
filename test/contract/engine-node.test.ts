import { describe } from 'vitest';
import { engineContract } from './engine.ts';

describe('the node engine', () => engineContract('node'));
