/** What sending minds: WhatsApp's restrictions of a number, first contacts of a day, claims that got lost. */
import type { Kysely } from "kysely";
import { grant, onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, columns);
  await run(db, contacts);
  await run(db, recovery);
  await run(db, security);
}

const columns = `
alter table numbers add column restriction jsonb;
alter table chats add column first_sent_at timestamptz;
create index chats_first_sent on chats (company_no, number_no, first_sent_at) where first_sent_at is not null;
`;

/*
 * take_first_contact tells whether a message is the first to somebody who never wrote to the number, and if so
 * takes one of the number's first contacts of a day. None left: nothing is taken, and it tells from when on
 * there is one. With p_most 0 it only looks.
 */
const contacts = `
create function take_first_contact(p_company int, p_number int, p_epoch bigint, p_message text, p_most int)
returns json
language plpgsql as $$
declare
  v_chat chats;
  v_until timestamptz;
begin
  if not hold_fence(p_company, p_number, p_epoch) then
    return null;
  end if;
  select r.* into v_chat from messages m
    join chats c on c.company_no = p_company and c.chat_no = m.chat_no
    join chats r on r.company_no = p_company and r.chat_no = coalesce(c.merged_into, c.chat_no)
    where m.company_no = p_company and m.message_id = p_message collate "C" and m.number_no = p_number;
  if v_chat.chat_no is null or v_chat.type <> 'direct' or v_chat.last_inbound_at is not null
    or v_chat.first_sent_at is not null
    or exists (select from messages m where m.company_no = p_company and m.chat_no = v_chat.chat_no
      and (m.direction <> 'out' or m.state in ('sent', 'delivered', 'read'))) then
    return json_build_object('isFirst', false, 'isFree', true, 'until', null);
  end if;
  if p_most <= 0 then
    return json_build_object('isFirst', true, 'isFree', false, 'until', null);
  end if;
  select c.first_sent_at + interval '1 day' into v_until from chats c
    where c.company_no = p_company and c.number_no = p_number
      and c.first_sent_at > clock_timestamp() - interval '1 day'
    order by c.first_sent_at desc offset p_most - 1 limit 1;
  if v_until is null then
    update chats set first_sent_at = clock_timestamp()
      where company_no = p_company and chat_no = v_chat.chat_no;
  end if;
  return json_build_object('isFirst', true, 'isFree', v_until is null, 'until', v_until);
end $$;
`;

/*
 * A claim can be committed and its answer get lost on the way: its owner does not know of it and would never
 * send it. recover_sends makes such claims look like those of a former owner, which are claimed again and do
 * not expire. p_known: what the owner does know of.
 */
const recovery = `
create function recover_sends(p_companies int[], p_numbers int[], p_epochs bigint[], p_known text[]) returns int
language plpgsql as $$
declare
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
  v_count int;
begin
  -- Looks first: there is nearly always nothing, and then no fence is locked.
  select array_agg(r.company_no), array_agg(r.number_no), array_agg(r.epoch)
    into v_companies, v_numbers, v_epochs
    from unnest(p_companies, p_numbers, p_epochs) as r (company_no, number_no, epoch)
    where exists (select from messages m where m.company_no = r.company_no and m.number_no = r.number_no
      and m.is_next and m.state = 'sending' and m.claimed_epoch = r.epoch
      and not (m.message_id = any (p_known)));
  if v_numbers is null then
    return 0;
  end if;
  v_numbers := hold_fences(v_companies, v_numbers, v_epochs);
  with lost as materialized (
    select m.company_no, m.message_id
    from unnest(p_companies, p_numbers, p_epochs) as r (company_no, number_no, epoch)
    join messages m on m.company_no = r.company_no and m.number_no = r.number_no
    where r.number_no = any (v_numbers) and m.is_next and m.state = 'sending' and m.claimed_epoch = r.epoch
      and not (m.message_id = any (p_known))
    order by m.company_no, m.message_id
    for no key update of m
  )
  update messages m set claimed_epoch = m.claimed_epoch - 1
    from lost l where m.company_no = l.company_no and m.message_id = l.message_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const security = [
  onlyFor("take_first_contact(int, int, bigint, text, int)", "worker"),
  onlyFor("recover_sends(int[], int[], bigint[], text[])", "worker"),
  grant("worker", "update (restriction)", "numbers"),
  grant("worker", "update (first_sent_at)", "chats"),
].join("\n");
