import { MemoryStore } from '../../src/membership/store/memory.ts';
import { storeContract } from './store.ts';

storeContract('memory', () => ({ store: () => new MemoryStore() }));
