import { type Admin, type AdminOptions, createAdmin } from '../../src/admin/admin.ts';

/** The admin API of a proxy, at an address of its own. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const admin = await createAdmin(options);
  await admin.open();
  return admin;
}
