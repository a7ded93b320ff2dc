import { createMemoryStore } from '../../src/membership/memory.ts';
import { storeContract } from './store.ts';

storeContract('memory', () => ({ store: createMemoryStore() }));
