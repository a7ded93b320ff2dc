import { Admin, type AdminOptions } from '../../src/admin/admin.ts';

/** The admin API of a proxy, at an address of its own. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const admin = await Admin.create(options);
  await admin.open();
  return admin;
}
