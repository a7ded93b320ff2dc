import { describe } from 'vitest';
import { tlsLinksContract } from './engine-tls-links.ts';

describe('node engine', () => tlsLinksContract('node'));
