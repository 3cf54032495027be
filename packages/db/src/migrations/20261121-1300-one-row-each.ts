/** A row that is named by its key is found by its key, however many rows the company has. */
import { type Kysely, sql } from "kysely";
import { replaceIn, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, indexes);
  await withoutCoalesce(db);
  await replaceIn(db, "open_inbounds", settled.before, [settled.after]);
  await replaceIn(db, "resolve_contacts", settling.before, [settling.after]);
  await replaceIn(db, "resolve_contacts", named.before, [named.after]);
  await replaceIn(db, "resolve_contacts", taken.before, [taken.after]);
  await replaceIn(db, "resolve_contacts", answered.before, [answered.after]);
  await replaceIn(db, "resolve_all_chats", "  v_is_named boolean;", [
    "  v_is_named boolean;",
    "  v_companies int[];",
    "  v_contacts bigint[];",
    "  v_kept bigint[];",
  ]);
  await replaceIn(db, "resolve_all_chats", kept.before, [kept.after]);
  await run(
    db,
    `alter function resolve_contacts(int, ${Array.from({ length: 6 }, () => "text[]").join(", ")})
      set plan_cache_mode = force_generic_plan set enable_hashjoin = off set enable_mergejoin = off;`,
  );
}

/*
 * A plan that is kept takes a company for its few first rows, or for an average one, and then all indexes that begin
 * with the company look alike: whichever came was read as far as the company goes. So of each table one begins with it,
 * that of the key by which rows are found.
 */
const indexes = `
drop index contact_aliases_contact;
create index contact_aliases_contact on contact_aliases (contact_no);
alter table contacts drop constraint contacts_company_no_contact_id_key, add unique (contact_id, company_no);
alter table chats drop constraint chats_company_no_chat_id_key, add unique (chat_id, company_no);
`;

/*
 * Under row security a condition may only use an index if it cannot tell anybody about rows that are not theirs, and
 * Postgres takes coalesce for something that might. A case it trusts.
 */
async function withoutCoalesce(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{
    text: string;
  }>`select pg_get_functiondef(p.oid) as text from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prosrc ~ ${PATTERN}`.execute(db);
  for (const { text } of rows) {
    const parts = text.replaceAll(
      new RegExp(PATTERN, "g"),
      "= case when $1.merged_into is null then $1.$2 else $1.merged_into end",
    );
    await run(db, parts);
  }
}
const PATTERN = String.raw`= coalesce\((\w+)\.merged_into, \1\.(chat_no|contact_no)\)`;

const settled = {
  before: `      left join lateral (select c.contact_no, c.name from contacts c
        where c.company_no = p_companies[i.at]
          and c.contact_no = coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no) offset 0) c on true;`,
  after: `      cross join lateral (
        select coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no) as contact_no offset 0) k
      left join lateral (select c.contact_no, c.name from contacts c
        where c.company_no = p_companies[i.at] and c.contact_no = k.contact_no offset 0) c on true;`,
};

const alias = (kind: string, as: string): string =>
  `    left join lateral (select a.contact_no from contact_aliases a
      where a.company_no = p_company and a.kind = '${kind}' and a.value = i.${kind} offset 0) ${as} on true`;
const settling = {
  before: `    left join contact_aliases l on l.company_no = p_company and l.kind = 'lid' and l.value = i.lid
    left join contact_aliases u on u.company_no = p_company and u.kind = 'user_id' and u.value = i.user_id
    left join contact_aliases p on p.company_no = p_company and p.kind = 'phone' and p.value = i.phone
    left join contact_aliases n on n.company_no = p_company and n.kind = 'username' and n.value = i.username
    left join contacts c on c.company_no = p_company
      and c.contact_no = coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no);`,
  after: `${alias("lid", "l")}
${alias("user_id", "u")}
${alias("phone", "p")}
${alias("username", "n")}
    cross join lateral (
      select coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no) as contact_no offset 0) k
    left join lateral (select c.contact_no, c.name from contacts c
      where c.company_no = p_company and c.contact_no = k.contact_no offset 0) c on true;`,
};

/* Whose the names are that one person has. */
const aliasOf = (kind: string, of: string): string =>
  `(select a.contact_no from contact_aliases a
          where a.company_no = p_company and a.kind = '${kind}' and a.value = ${of}[v_place]) as ${kind}`;
const named = {
  before: `      select max(a.contact_no) filter (where a.kind = 'lid') as lid,
          max(a.contact_no) filter (where a.kind = 'user_id') as user_id,
          max(a.contact_no) filter (where a.kind = 'phone') as phone,
          max(a.contact_no) filter (where a.kind = 'username') as username
        into v_by from contact_aliases a
        where a.company_no = p_company and (a.kind, a.value) in (
          ('lid', p_lids[v_place]), ('user_id', p_users[v_place]), ('phone', p_phones[v_place]),
          ('username', p_usernames[v_place]));`,
  after: `      select ${aliasOf("lid", "p_lids")},
        ${aliasOf("user_id", "p_users")},
        ${aliasOf("phone", "p_phones")},
        ${aliasOf("username", "p_usernames")}
        into v_by;`,
};
const taken = {
  before: `      if exists (select from contact_aliases a where a.company_no = p_company and a.contact_no <> v_no
          and (a.kind, a.value) in (('phone', p_phones[v_place]), ('username', p_usernames[v_place]))) then`,
  after: `      if exists (select from contact_aliases a where a.company_no = p_company and a.contact_no <> v_no
            and a.kind = 'phone' and a.value = p_phones[v_place])
          or exists (select from contact_aliases a where a.company_no = p_company and a.contact_no <> v_no
            and a.kind = 'username' and a.value = p_usernames[v_place]) then`,
};

const answered = {
  before: `    join contacts c on c.company_no = p_company and c.contact_no = i.no
    join contacts r on r.company_no = p_company and r.contact_no = case when c.merged_into is null then c.contact_no else c.merged_into end
    order by i.place;`,
  after: `    cross join lateral (select c.contact_no, c.merged_into from contacts c
      where c.company_no = p_company and c.contact_no = i.no offset 0) c
    cross join lateral (select r.* from contacts r where r.company_no = p_company
      and r.contact_no = case when c.merged_into is null then c.contact_no else c.merged_into end offset 0) r
    order by i.place;`,
};

/* Chats of somebody who was merged, which go over to who goes on. Mostly there are none. */
const KEPT = `      select distinct on (w.company, w.number, w.contact) w.company, w.contact, c.chat_no
      from unnest(p_companies, p_numbers, p_contacts, v_nos) as w (company, number, contact, chat_no)
      cross join lateral (
        select c.chat_no from contacts m
        join chats c on c.company_no = m.company_no and c.number_no = w.number and c.contact_no = m.contact_no
          and c.merged_into is null
        where m.company_no = w.company and m.merged_into = w.contact offset 0
      ) c
      where w.chat_no is null order by w.company, w.number, w.contact, c.chat_no`;
const kept = {
  before: `    with kept as (
${KEPT}
    )
    update chats c set contact_no = k.contact from kept k
      where c.company_no = k.company and c.chat_no = k.chat_no;`,
  after: `    select array_agg(k.company), array_agg(k.contact), array_agg(k.chat_no)
      into v_companies, v_contacts, v_kept from (
${KEPT}
    ) k;
    if v_kept is not null then
      update chats c set contact_no = k.contact
        from unnest(v_companies, v_contacts, v_kept) as k (company, contact, chat_no)
        where c.chat_no = any (v_kept) and c.company_no = k.company and c.chat_no = k.chat_no;
    end if;`,
};
