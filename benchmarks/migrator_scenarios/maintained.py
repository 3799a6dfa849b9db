"""Ten refactorings as maintainers of well-known applications made or discussed them, with data."""

from benchmarks.migrator_scenarios.applications import Application

DISCOURSE = Application(
    "Discourse: e-mails of users in a table of their own, user_actions cascade",
    """CREATE TABLE users (id integer PRIMARY KEY, username varchar(60) NOT NULL,
      email varchar(513) NOT NULL, active boolean NOT NULL DEFAULT false,
      trust_level integer NOT NULL DEFAULT 0, UNIQUE (username), UNIQUE (email));
CREATE TABLE user_actions (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id)
  ON DELETE CASCADE, action_type integer NOT NULL);""",
    """CREATE TABLE users (id integer PRIMARY KEY, username varchar(60) NOT NULL,
      active boolean NOT NULL DEFAULT false, trust_level integer NOT NULL DEFAULT 0,
      UNIQUE (username));
CREATE TABLE user_emails (user_id integer PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
  email varchar(513) NOT NULL UNIQUE, "primary" boolean NOT NULL DEFAULT true);
CREATE TABLE user_actions (id integer PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id)
  ON DELETE CASCADE, action_type integer NOT NULL);""",
    """-- name: sign_up(id, username, email)
INSERT INTO users (id, username, email) VALUES (:id, :username, :email);
-- name: change_email(old, new)
UPDATE users SET email = :new WHERE email = :old;
-- name: act(id, user_id, kind)
INSERT INTO user_actions (id, user_id, action_type) VALUES (:id, :user_id, :kind);
-- name: destroy(id)
DELETE FROM users WHERE id = :id;
-- name: everyone()
SELECT u.id, u.username, u.email, u.trust_level FROM users u ORDER BY u.id;
-- name: actions()
SELECT u.email, a.action_type FROM user_actions a JOIN users u ON u.id = a.user_id ORDER BY a.id;
-- name: busy()
SELECT u.username, COUNT(a.id) AS n FROM users u LEFT JOIN user_actions a ON a.user_id = u.id
  GROUP BY u.username HAVING COUNT(a.id) > 0 ORDER BY u.username;
""",
    """INSERT INTO users VALUES (1, 'sam', 'sam@x', true, 4), (2, 'neil', 'n@x', false, 0);
INSERT INTO user_actions VALUES (1, 1, 5), (2, 2, 1), (3, 1, 6);""",
    (
        ("sign_up", {"id": 5, "username": "new", "email": "new@x"}),
        ("change_email", {"old": "n@x", "new": "neil@y"}),
        ("act", {"id": 9, "user_id": 5, "kind": 2}),
        ("destroy", {"id": 1}),
    ),
)
REDMINE = Application(
    "Redmine: priority of issues as an enumeration",
    """CREATE TABLE projects (id integer PRIMARY KEY, identifier varchar(255) NOT NULL UNIQUE);
CREATE TABLE issues (id integer PRIMARY KEY, project_id integer NOT NULL REFERENCES projects (id),
  subject varchar(255) NOT NULL DEFAULT '', priority varchar(30),
  done_ratio integer NOT NULL DEFAULT 0);""",
    """CREATE TABLE projects (id integer PRIMARY KEY, identifier varchar(255) NOT NULL UNIQUE);
CREATE TABLE enumerations (id integer PRIMARY KEY, name varchar(30) NOT NULL UNIQUE,
  active boolean NOT NULL DEFAULT true);
CREATE TABLE issues (id integer PRIMARY KEY, project_id integer NOT NULL REFERENCES projects (id),
  subject varchar(255) NOT NULL DEFAULT '', priority_id integer REFERENCES enumerations (id),
  done_ratio integer NOT NULL DEFAULT 0);""",
    """-- name: open_project(id, identifier)
INSERT INTO projects VALUES (:id, :identifier);
-- name: report(id, project, subject, priority)
INSERT INTO issues (id, project_id, subject, priority) VALUES (:id, :project, :subject, :priority);
-- name: prioritize(id, priority)
UPDATE issues SET priority = :priority WHERE id = :id;
-- name: progress(id, done)
UPDATE issues SET done_ratio = :done WHERE id = :id AND done_ratio < :done;
-- name: purge(priority)
DELETE FROM issues WHERE priority = :priority AND done_ratio = 100;
-- name: listing()
SELECT p.identifier, i.subject, i.priority, i.done_ratio FROM issues i JOIN projects p
  ON p.id = i.project_id ORDER BY i.id;
-- name: by_priority()
SELECT priority, COUNT(*) AS n, MAX(done_ratio) AS best FROM issues GROUP BY priority ORDER BY n,
  priority;
-- name: unset()
SELECT subject FROM issues WHERE priority IS NULL ORDER BY subject;
-- name: urgent()
SELECT subject FROM issues WHERE priority IN ('urgent', 'high') ORDER BY subject;
""",
    """INSERT INTO projects VALUES (1, 'core'), (2, 'docs');
INSERT INTO issues VALUES (1, 1, 'a', 'high', 0), (2, 1, 'b', NULL, 50), (3, 2, 'c', 'high', 100),
  (4, 2, 'd', 'low', 10);""",
    (
        ("report", {"id": 7, "project": 1, "subject": "e", "priority": "urgent"}),
        ("prioritize", {"id": 2, "priority": "low"}),
        ("prioritize", {"id": 4, "priority": None}),
        ("progress", {"id": 7, "done": 100}),
        ("purge", {"priority": "high"}),
    ),
)
WORDPRESS = Application(
    "WordPress: comment count out of wp_posts, columns renamed",
    """CREATE TABLE wp_users (ID integer PRIMARY KEY, user_login varchar(60) NOT NULL DEFAULT '');
CREATE TABLE wp_posts (ID integer PRIMARY KEY, post_author integer NOT NULL DEFAULT 0
  REFERENCES wp_users (ID), post_title text NOT NULL,
  post_status varchar(20) NOT NULL DEFAULT 'publish', comment_count integer NOT NULL DEFAULT 0);""",
    """CREATE TABLE wp_users (ID integer PRIMARY KEY, user_login varchar(60) NOT NULL DEFAULT '');
CREATE TABLE wp_posts (ID integer PRIMARY KEY, author integer NOT NULL DEFAULT 0
  REFERENCES wp_users (ID), title text NOT NULL, status varchar(20) NOT NULL DEFAULT 'publish');
CREATE TABLE wp_post_stats (post_id integer PRIMARY KEY REFERENCES wp_posts (ID) ON DELETE CASCADE,
  comment_count integer NOT NULL DEFAULT 0);""",
    """-- name: join_in(id, login)
INSERT INTO wp_users (ID, user_login) VALUES (:id, :login);
-- name: publish(id, author, title)
INSERT INTO wp_posts (ID, post_author, post_title) VALUES (:id, :author, :title);
-- name: draft(id)
UPDATE wp_posts SET post_status = 'draft' WHERE ID = :id;
-- name: commented(id)
UPDATE wp_posts SET comment_count = comment_count + 1 WHERE ID = :id;
-- name: trash(author)
DELETE FROM wp_posts WHERE post_author = :author AND post_status = 'draft';
-- name: front()
SELECT p.ID, p.post_title, u.user_login, p.comment_count FROM wp_posts p JOIN wp_users u
  ON u.ID = p.post_author WHERE p.post_status = 'publish' ORDER BY p.comment_count DESC, p.ID;
-- name: totals()
SELECT post_author, SUM(comment_count) AS c FROM wp_posts GROUP BY post_author ORDER BY post_author;
""",
    """INSERT INTO wp_users VALUES (1, 'admin'), (2, 'eve');
INSERT INTO wp_posts VALUES (1, 1, 'Hello', 'publish', 3), (2, 2, 'Bye', 'publish', 0),
  (3, 2, 'x', 'draft', 1);""",
    (
        ("publish", {"id": 8, "author": 2, "title": "New"}),
        ("commented", {"id": 8}),
        ("draft", {"id": 2}),
        ("trash", {"author": 2}),
    ),
)
MASTODON = Application(
    "Mastodon: statistics of accounts in a table of their own, camel case kept",
    """CREATE TABLE accounts (id bigint PRIMARY KEY, username text NOT NULL DEFAULT '',
      domain text, "followersCount" integer NOT NULL DEFAULT 0,
      "statusesCount" integer NOT NULL DEFAULT 0, last_status_at timestamp,
      UNIQUE (username, domain));
CREATE TABLE follows (id bigint PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts (id)
  ON DELETE CASCADE, target_account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  UNIQUE (account_id, target_account_id));""",
    """CREATE TABLE accounts (id bigint PRIMARY KEY, username text NOT NULL DEFAULT '',
      domain text, UNIQUE (username, domain));
CREATE TABLE account_stats (account_id bigint PRIMARY KEY REFERENCES accounts (id)
  ON DELETE CASCADE, "followersCount" integer NOT NULL DEFAULT 0,
  "statusesCount" integer NOT NULL DEFAULT 0, last_status_at timestamp);
CREATE TABLE follows (id bigint PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts (id)
  ON DELETE CASCADE, target_account_id bigint NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
  UNIQUE (account_id, target_account_id));""",
    """-- name: create_account(id, username, domain)
INSERT INTO accounts (id, username, domain) VALUES (:id, :username, :domain);
-- name: follow(id, a, b)
INSERT INTO follows (id, account_id, target_account_id) VALUES (:id, :a, :b);
-- name: toot(id, at)
UPDATE accounts SET "statusesCount" = "statusesCount" + 1, last_status_at = :at WHERE id = :id;
-- name: suspend(id)
DELETE FROM accounts WHERE id = :id;
-- name: remote()
SELECT username, domain, "statusesCount" FROM accounts WHERE domain IS NOT NULL ORDER BY id;
-- name: everyone()
SELECT id, username, "followersCount", "statusesCount" FROM accounts ORDER BY id;
-- name: followed()
SELECT a.username, b.username AS target, b."statusesCount" FROM follows f JOIN accounts a
  ON a.id = f.account_id JOIN accounts b ON b.id = f.target_account_id ORDER BY f.id;
""",
    """INSERT INTO accounts VALUES (1, 'a', NULL, 1, 7, '2024-01-01 10:00:00'),
      (2, 'b', 'x.org', 0, 0, NULL), (3, 'c', NULL, 0, 1, NULL);
INSERT INTO follows VALUES (1, 1, 2), (2, 2, 1), (3, 3, 2);""",
    (
        ("create_account", {"id": 9, "username": "n", "domain": None}),
        ("toot", {"id": 9, "at": "2024-05-05 10:00:00"}),
        ("follow", {"id": 8, "a": 9, "b": 1}),
        ("suspend", {"id": 2}),
    ),
)
GITLAB = Application(
    "GitLab: import URL of projects in project_mirror_data",
    """CREATE TABLE namespaces (id integer PRIMARY KEY, path text NOT NULL UNIQUE);
CREATE TABLE projects (id integer PRIMARY KEY, namespace_id integer NOT NULL
  REFERENCES namespaces (id), name text NOT NULL, import_url text,
  import_status text NOT NULL DEFAULT 'none', UNIQUE (namespace_id, name));""",
    """CREATE TABLE namespaces (id integer PRIMARY KEY, path text NOT NULL UNIQUE);
CREATE TABLE projects (id integer PRIMARY KEY, namespace_id integer NOT NULL
  REFERENCES namespaces (id), name text NOT NULL, UNIQUE (namespace_id, name));
CREATE TABLE project_mirror_data (id integer PRIMARY KEY, project_id integer NOT NULL UNIQUE
  REFERENCES projects (id) ON DELETE CASCADE, import_url text,
  import_status text NOT NULL DEFAULT 'none');""",
    """-- name: group_in(id, path)
INSERT INTO namespaces VALUES (:id, :path);
-- name: fork(id, ns, name, url)
INSERT INTO projects (id, namespace_id, name, import_url) VALUES (:id, :ns, :name, :url);
-- name: started(url)
UPDATE projects SET import_status = 'started' WHERE import_url = :url;
-- name: transfer(id, ns)
UPDATE projects SET namespace_id = :ns WHERE id = :id;
-- name: remove(ns)
DELETE FROM projects WHERE namespace_id = :ns;
-- name: statuses()
SELECT n.path, p.name, p.import_url, p.import_status FROM projects p JOIN namespaces n
  ON n.id = p.namespace_id ORDER BY p.id;
-- name: pending()
SELECT name FROM projects WHERE import_url IS NOT NULL AND import_status = 'none' ORDER BY name;
""",
    """INSERT INTO namespaces VALUES (1, 'g'), (2, 'h');
INSERT INTO projects VALUES (1, 1, 'p', 'git://a', 'none'), (2, 1, 'q', NULL, 'none'),
  (3, 2, 'p', 'git://a', 'failed');""",
    (
        ("fork", {"id": 7, "ns": 2, "name": "z", "url": None}),
        ("started", {"url": "git://a"}),
        ("transfer", {"id": 2, "ns": 2}),
        ("remove", {"ns": 1}),
    ),
)
ODOO = Application(
    "Odoo: addresses out of res_partner, dotted names",
    """CREATE TABLE "res.partner" (id integer PRIMARY KEY, name text NOT NULL, street text,
      zip text, "is_company" boolean DEFAULT false, parent_id integer REFERENCES "res.partner" (id)
      ON DELETE SET NULL);""",
    """CREATE TABLE "res.partner" (id integer PRIMARY KEY, name text NOT NULL,
      "is_company" boolean DEFAULT false, parent_id integer REFERENCES "res.partner" (id) ON DELETE
      SET NULL);
CREATE TABLE "partner address" (partner integer PRIMARY KEY REFERENCES "res.partner" (id)
  ON DELETE CASCADE, street text, zip text);""",
    """-- name: create_partner(id, name, street, parent)
INSERT INTO "res.partner" (id, name, street, parent_id) VALUES (:id, :name, :street, :parent);
-- name: relocate(id, street, zip)
UPDATE "res.partner" SET street = :street, zip = :zip WHERE id = :id;
-- name: unlink(id)
DELETE FROM "res.partner" WHERE id = :id;
-- name: directory()
SELECT c.name, c.street, p.name AS parent, p.zip AS pz FROM "res.partner" c LEFT
  JOIN "res.partner" p ON p.id = c.parent_id ORDER BY c.id;
-- name: homeless()
SELECT name FROM "res.partner" WHERE street IS NULL ORDER BY name;
""",
    """INSERT INTO "res.partner" VALUES (1, 'Acme', 's1', '1000', true, NULL),
      (2, 'Bob', NULL, NULL, false, 1), (3, 'Cy', 's3', NULL, NULL, 1);""",
    (
        ("create_partner", {"id": 6, "name": "Di", "street": None, "parent": 2}),
        ("relocate", {"id": 6, "street": "s6", "zip": "9"}),
        ("unlink", {"id": 1}),
        ("unlink", {"id": 2}),
    ),
)
SAKILA = Application(
    "Sakila: language of films by name, key of its own",
    """CREATE TABLE film (film_id integer PRIMARY KEY, title varchar(255) NOT NULL,
      language char(20) NOT NULL, rental_rate decimal(4,2) NOT NULL DEFAULT 4.99, length integer);
CREATE TABLE inventory (inventory_id integer PRIMARY KEY, film_id integer NOT NULL
  REFERENCES film (film_id) ON DELETE CASCADE, store_id integer NOT NULL);""",
    """CREATE TABLE language (language_id integer PRIMARY KEY, name char(20) NOT NULL UNIQUE);
CREATE TABLE film (film_id integer PRIMARY KEY, title varchar(255) NOT NULL,
  language_id integer NOT NULL REFERENCES language (language_id),
  rental_rate decimal(4,2) NOT NULL DEFAULT 4.99, length integer);
CREATE TABLE inventory (inventory_id integer PRIMARY KEY, film_id integer NOT NULL
  REFERENCES film (film_id) ON DELETE CASCADE, store_id integer NOT NULL);""",
    """-- name: shelve(id, title, language, length)
INSERT INTO film (film_id, title, language, length) VALUES (:id, :title, :language, :length);
-- name: stock(id, film, store)
INSERT INTO inventory VALUES (:id, :film, :store);
-- name: dub(id, language)
UPDATE film SET language = :language WHERE film_id = :id;
-- name: retire(language)
DELETE FROM film WHERE language = :language;
-- name: catalog()
SELECT title, language, length FROM film ORDER BY film_id;
-- name: stores()
SELECT f.language, COUNT(*) AS n FROM film f JOIN inventory i ON i.film_id = f.film_id
  GROUP BY f.language ORDER BY f.language;
""",
    """INSERT INTO film VALUES (1, 'A', 'English', 0.99, 90), (2, 'B', 'Italian', 2.99, NULL),
      (3, 'C', 'English', 4.99, 100);
INSERT INTO inventory VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2), (4, 3, 2);""",
    (
        ("shelve", {"id": 9, "title": "D", "language": "Mandarin", "length": None}),
        ("stock", {"id": 8, "film": 9, "store": 1}),
        ("dub", {"id": 2, "language": "English"}),
        ("retire", {"language": "Mandarin"}),
    ),
)
SPREE = Application(
    "Spree: a composite key of assets gets a surrogate",
    """CREATE TABLE variants (id integer PRIMARY KEY, sku text NOT NULL UNIQUE);
CREATE TABLE stock_items (variant_id integer NOT NULL REFERENCES variants (id) ON DELETE CASCADE,
  location text NOT NULL, count_on_hand integer NOT NULL DEFAULT 0, backorderable boolean,
  PRIMARY KEY (variant_id, location));""",
    """CREATE TABLE variants (id integer PRIMARY KEY, sku text NOT NULL UNIQUE);
CREATE TABLE stock_items (id integer PRIMARY KEY, variant_id integer NOT NULL
  REFERENCES variants (id) ON DELETE CASCADE, location text NOT NULL,
  count_on_hand integer NOT NULL DEFAULT 0, backorderable boolean,
  UNIQUE (variant_id, location));""",
    """-- name: offer(id, sku)
INSERT INTO variants VALUES (:id, :sku);
-- name: place(v, location, n)
INSERT INTO stock_items (variant_id, location, count_on_hand) VALUES (:v, :location, :n);
-- name: sell(v, location)
UPDATE stock_items SET count_on_hand = count_on_hand - 1
  WHERE variant_id = :v AND location = :location AND count_on_hand > 0;
-- name: drop_variant(sku)
DELETE FROM variants WHERE sku = :sku;
-- name: stocked()
SELECT v.sku, s.location, s.count_on_hand FROM stock_items s JOIN variants v ON v.id = s.variant_id
  ORDER BY v.sku, s.location;
-- name: totals()
SELECT v.sku, COALESCE(SUM(s.count_on_hand), 0) AS n FROM variants v LEFT JOIN stock_items s
  ON s.variant_id = v.id GROUP BY v.sku ORDER BY v.sku;
""",
    """INSERT INTO variants VALUES (1, 'x'), (2, 'y'), (3, 'z');
INSERT INTO stock_items VALUES (1, 'A', 3, NULL), (1, 'B', 0, true), (2, 'A', 1, false);""",
    (
        ("place", {"v": 3, "location": "C", "n": 5}),
        ("sell", {"v": 1, "location": "A"}),
        ("sell", {"v": 1, "location": "B"}),
        ("drop_variant", {"sku": "y"}),
    ),
)
DJANGO = Application(
    "Django: profile merged into the user, cascade to log entries",
    """CREATE TABLE auth_user (id integer PRIMARY KEY, username varchar(150) NOT NULL UNIQUE,
      is_staff boolean NOT NULL DEFAULT false);
CREATE TABLE accounts_profile (user_id integer PRIMARY KEY REFERENCES auth_user (id)
  ON DELETE CASCADE, "timeZone" varchar(40) DEFAULT 'UTC', bio text);
CREATE TABLE django_admin_log (id integer PRIMARY KEY, user_id integer NOT NULL
  REFERENCES auth_user (id) ON DELETE CASCADE, message text NOT NULL);""",
    """CREATE TABLE auth_user (id integer PRIMARY KEY, username varchar(150) NOT NULL UNIQUE,
      is_staff boolean NOT NULL DEFAULT false, "timeZone" varchar(40) DEFAULT 'UTC', bio text);
CREATE TABLE django_admin_log (id integer PRIMARY KEY, user_id integer NOT NULL
  REFERENCES auth_user (id) ON DELETE CASCADE, message text NOT NULL);""",
    """-- name: register(id, username, bio)
INSERT INTO auth_user (id, username) VALUES (:id, :username);
INSERT INTO accounts_profile (user_id, bio) VALUES (:id, :bio);
-- name: zone(username, tz)
UPDATE accounts_profile SET "timeZone" = :tz WHERE user_id IN (SELECT id FROM auth_user
  WHERE username = :username);
-- name: log(id, user, message)
INSERT INTO django_admin_log VALUES (:id, :user, :message);
-- name: forget(id)
DELETE FROM auth_user WHERE id = :id;
-- name: profiles()
SELECT u.username, p."timeZone", p.bio FROM auth_user u JOIN accounts_profile p ON p.user_id = u.id
  ORDER BY u.id;
-- name: logs()
SELECT l.message, p."timeZone" FROM django_admin_log l JOIN accounts_profile p
  ON p.user_id = l.user_id ORDER BY l.id;
""",
    """INSERT INTO auth_user VALUES (1, 'ann', true), (2, 'bo', false);
INSERT INTO accounts_profile VALUES (1, 'CET', NULL), (2, NULL, 'b');
INSERT INTO django_admin_log VALUES (1, 1, 'm'), (2, 2, 'n');""",
    (
        ("register", {"id": 6, "username": "new", "bio": None}),
        ("zone", {"username": "new", "tz": "PST"}),
        ("log", {"id": 9, "user": 6, "message": "x"}),
        ("forget", {"id": 1}),
    ),
)
KEYCLOAK = Application(
    "Keycloak: attributes renamed, defaults negative, quotes in data",
    """CREATE TABLE "USER_ENTITY" ("ID" varchar(36) PRIMARY KEY, "EMAIL" varchar(255),
      "REALM_ID" varchar(255), "NOT_BEFORE" integer NOT NULL DEFAULT -1,
      "order" text DEFAULT 'it''s');
CREATE TABLE "USER_ATTRIBUTE" ("ID" varchar(36) PRIMARY KEY, "NAME" varchar(255) NOT NULL,
  "VALUE" varchar(255), "USER_ID" varchar(36) REFERENCES "USER_ENTITY" ("ID")
  ON DELETE CASCADE);""",
    """CREATE TABLE "userEntity" (id varchar(36) PRIMARY KEY, email varchar(255),
      realm varchar(255), "notBefore" integer NOT NULL DEFAULT -1, "order" text DEFAULT 'it''s');
CREATE TABLE "userAttribute" (id varchar(36) PRIMARY KEY, name varchar(255) NOT NULL,
  value varchar(255), "userId" varchar(36) REFERENCES "userEntity" (id) ON DELETE CASCADE);""",
    """-- name: create_user(id, email, realm)
INSERT INTO "USER_ENTITY" ("ID", "EMAIL", "REALM_ID") VALUES (:id, :email, :realm);
-- name: attribute(id, name, value, user)
INSERT INTO "USER_ATTRIBUTE" ("ID", "NAME", "VALUE", "USER_ID") VALUES (:id, :name, :value, :user);
-- name: expire(id)
UPDATE "USER_ENTITY" SET "NOT_BEFORE" = "NOT_BEFORE" + 10 WHERE "ID" = :id;
-- name: remove(realm)
DELETE FROM "USER_ENTITY" WHERE "REALM_ID" = :realm;
-- name: users()
SELECT "ID", "EMAIL", "REALM_ID", "NOT_BEFORE", "order" FROM "USER_ENTITY" ORDER BY "ID";
-- name: attributes()
SELECT u."EMAIL", a."NAME", a."VALUE" FROM "USER_ATTRIBUTE" a LEFT JOIN "USER_ENTITY" u
  ON u."ID" = a."USER_ID" ORDER BY a."ID";
""",
    """INSERT INTO "USER_ENTITY" VALUES ('1', 'a@x', 'm', 0, NULL), ('2', NULL, 'm', -1, 'o'),
      ('3', 'c@x', NULL, 5, 'it''s');
INSERT INTO "USER_ATTRIBUTE" VALUES ('1', 'k', NULL, '1'), ('2', 'l', 'v''w', '3'),
  ('3', 'n', 'z', NULL);""",
    (
        ("create_user", {"id": "9", "email": None, "realm": "q"}),
        ("attribute", {"id": "8", "name": "t", "value": None, "user": "9"}),
        ("expire", {"id": "9"}),
        ("remove", {"realm": "m"}),
    ),
)
FOREIGN = (DISCOURSE, REDMINE, WORDPRESS, MASTODON, GITLAB, ODOO, SAKILA, SPREE, DJANGO, KEYCLOAK)
