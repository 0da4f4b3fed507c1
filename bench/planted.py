"""Made-up secrets of many kinds, in the formats that they are written in.

Values are drawn when this runs: none stands in a file, and no scanner takes this one for a leak.
Each case is ``kind | path | text``; in the text ``{p}`` is a password with signs, ``{w}`` one of
letters and digits, ``{t}`` a token, ``{h}`` 32 hexadecimal digits, ``{b}`` base64 of
``user:password``, ``{s}`` base32, ``{k}`` a line of a key, ``{d}`` a word that is a password.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass

_WORDS = ("swordfish", "gandalf", "tangerine", "marmalade", "kingfisher", "dragonfly")
_KEY = "PRIVATE " + "KEY"
CASES = r"""
password in code | a.py | PASSWORD = "{p}"
password in code | a.py | db_password: str = '{w}'
password in code | a.js | const password = '{p}';
password in code | a.ts | private readonly dbPassword: string = "{p}";
password in code | a.go | const dbPassword = "{p}"
password in code | a.java | private static final String PASSWORD = "{p}";
password in code | a.rb | password = '{p}'
password in code | a.php | $password = '{p}';
password in code | a.cs | string password = "{p}";
password in code | a.kt | val password: String = "{p}"
password in code | a.rs | let password = String::from("{p}");
password that is a word | a.py | DB_PASSWORD = "{d}"
password that is a word | a.php | $db_password = "{d}";
password that is a word | a.env.example | DB_PASSWORD={d}
password that is a word | a.yaml | db_password: {d}
password in a dictionary | a.py | CONFIG = {{"user": "ada", "password": "{p}"}}
password in a dictionary | a.rb | config = {{ :user => 'ada', :password => '{p}' }}
password in a dictionary | a.rb | ActiveRecord.connect(user: 'ada', password: '{w}')
password in a dictionary | a.php | 'password' => '{p}',
password in a dictionary | a.js | module.exports = {{ user: 'ada', pass: '{p}' }};
keyword argument | a.py | connect(host="db", user="ada", passwd="{p}")
keyword argument | a.py | smtp.login("ada@corp.io", "{w}")
default of a variable | a.py | password = os.environ.get("DB_PASSWORD", "{p}")
default of a variable | a.js | const secret = process.env.APP_SECRET || '{w}';
default of a variable | a.sh | PASS=${{DB_PASSWORD:-{w}}}
default of a variable | a.yaml | password: ${{DB_PASSWORD:{w}}}
set in the environment | a.py | os.environ["PGPASSWORD"] = "{p}"
set in the environment | a.go | os.Setenv("API_TOKEN", "{t}")
set in the environment | a.php | putenv('API_SECRET={w}');
define of PHP | wp.php | define('DB_PASSWORD', '{p}');
define of PHP | wp.php | define( 'AUTH_KEY', '{p}{p}' );
salt | wp.php | define('SECURE_AUTH_SALT', '{p}{p}');
constant named token | a.go | const apiToken = "{t}"
constant named token | a.go | token := "{t}"
constant named token | a.java | String token = "{t}";
constant named token | a.rs | const TOKEN: &str = "{t}";
constant named token | a.ts | export const token = `{t}`;
api key | a.py | api_key = "{t}"
api key | a.js | const config = {{ apiKey: "{t}" }};
api key | a.swift | let apiKey = "{t}"
api key | a.xml | <add key="ApiKey" value="{t}" />
api key | a.xml | <string name="maps_api_key">{t}</string>
client secret | a.json | "client_secret": "{t}",
client secret | a.yaml | clientSecret: {t}
client secret | a.properties | spring.security.oauth2.client.secret={t}
secret key of a framework | settings.py | SECRET_KEY = '{p}{p}{p}'
secret key of a framework | a.rb | config.secret_key_base = '{h}{h}'
secret key of a framework | a.env.example | APP_KEY=base64:{k}
connection string | a.cs | var c = "Server=db;Database=app;User Id=sa;Password={w};";
connection string | a.config | <add name="Db" connectionString="Server=db;Uid=sa;Pwd={w};" />
connection string | a.json | "Db": "Server=db;User Id=sa;Password={w};Encrypt=true"
connection string | a.yaml | dsn: host=db user=ada password={w} sslmode=disable
connection string | a.go | dsn := "host=db user=ada password={w} dbname=app"
connection string | a.php | $c = "mysql:host=db;user=ada;password={w}";
connection string of Azure | a.py | C = "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={k}=="
connection string of Azure | a.json | "bus": "Endpoint=sb://x;SharedAccessKeyName=y;SharedAccessKey={k}="
password in an address | a.py | URL = "postgres://ada:{w}@db.internal/app"
password in an address | a.yaml | url: redis://:{w}@cache:6379/0
password in an address | a.md | git clone https://ada:{w}@git.corp.io/app.git
password in an address | a.toml | url = "amqp://ada:{d}@mq.internal"
token in an address | a.js | fetch("https://api.corp.io/v1?api_key={t}")
token in an address | a.sh | curl "https://api.corp.io/v1?access_token={t}&x=1"
signature in an address | a.py | u = "https://x.blob.core.windows.net/c?sv=2020&sig={k}"
Authorization: Basic | a.py | headers = {{"Authorization": "Basic {b}"}}
Authorization: Basic | a.go | req.Header.Set("Authorization", "Basic {b}")
Authorization: Basic | a.http.txt | Authorization: Basic {b}
Authorization: Bearer | a.js | headers: {{ Authorization: 'Bearer {t}' }}
Authorization: Bearer | a.rb | request['Authorization'] = 'Bearer {t}'
Authorization: Bearer | a.sh | curl -H "Authorization: Bearer {t}" https://api.corp.io
Authorization: token | a.py | h = {{"Authorization": "Token {t}"}}
header with a key | a.sh | curl -H "X-Api-Key: {t}" https://api.corp.io
header with a key | a.py | headers["X-Auth-Token"] = "{t}"
cookie of a session | a.py | h = {{"Cookie": "sessionid={t}; theme=x"}}
curl -u | a.sh | curl -u ada:{w} https://api.corp.io
curl -u | Dockerfile | RUN curl --user ada:{w} -O https://x.corp.io/y
curl -u | a.py | os.system("curl -u ada:{w} https://api.corp.io")
curl -u | a.sh | curl -s \{n}  -u "ada:{p}" \{n}  https://x
mysql -p | a.sh | mysql -u root -p{w} app < dump.sql
mysql -p | a.yaml | run: mysqldump -uroot -p'{w}' app
sshpass | a.sh | sshpass -p '{p}' ssh ada@host
redis-cli -a | a.sh | redis-cli -h cache -a {w} ping
docker login | a.yaml | - docker login -u ada -p {w} registry.corp.io
docker login | a.sh | echo {w} | docker login -u ada --password-stdin
option of a command | a.sh | app --password {w} --verbose
option of a command | a.sh | app --token={t}
option of a command | Dockerfile | CMD ["app", "--api-key", "{t}"]
variable before a command | a.sh | PGPASSWORD={p} psql -h db
variable before a command | Makefile | {n}DB_PASS={w} ./run
exported variable | a.sh | export AUTH={w}
exported variable | a.sh | export AWS_SECRET_ACCESS_KEY={k}
exported variable | a.ps1 | $env:API_TOKEN = "{t}"
password of openssl | a.sh | openssl rsa -in k -passin pass:{w}
password of a keystore | a.gradle | storePassword "{w}"
password of a keystore | a.properties | keystore.pass={w}
password of a keystore | a.sh | keytool -list -storepass {w}
chpasswd | a.sh | echo 'root:{w}' | chpasswd
docker's auth | a.json | {{"auths": {{"r.io": {{"auth": "{b}"}}}}}}
docker's auth | a.yaml | .dockerconfigjson: {k}{k}
htpasswd | users.txt | ada:$apr1$Zq3x8kLm${k22}
htpasswd | users.txt | ada:$2y$10${k53}
htpasswd | users.txt | ada:{{SHA}}{k27}=
htpasswd | a.sh | htpasswd -bc users ada {w}
hash of a password | a.sql | INSERT INTO users VALUES (1, 'pbkdf2_sha256$260000$Zq3x8kLm${k}=');
hash of a password | shadow.txt | ada:$6$Zq3x8kLm${k}{k}:19000:0:99999:7:::
hash of a password | a.py | H = "$argon2id$v=19$m=65536,t=3,p=4${k22}${k}"
Sentry DSN | a.py | init("https://{h}@o123456.ingest.sentry.io/4501")
Sentry DSN | a.js | Sentry.init({{ dsn: 'https://{h}@sentry.corp.io/2' }});
TOTP seed | a.py | totp = pyotp.TOTP("{s}")
TOTP seed | a.yaml | totp_secret: {s}
TOTP seed | a.md | otpauth://totp/corp:ada?secret={s}&issuer=corp
variable of .env | a.env.example | AUTH={w}
variable of .env | a.env.example | DB_PASSWORD={p}
variable of .env | a.env.example | STRIPE_KEY_SECRET="{t}"
variable of .env | a.env.example | SMTP_PASS={w}
compose and CI | compose.yaml | - POSTGRES_PASSWORD={w}
compose and CI | compose.yaml | POSTGRES_PASSWORD: {w}
compose and CI | ci.yml | password: "{p}"
compose and CI | Dockerfile | ENV DB_PASSWORD={w}
compose and CI | Dockerfile | ENV DB_PASSWORD {w}
compose and CI | Dockerfile | ARG NPM_TOKEN={t}
element of XML | a.xml | <password>{w}</password>
element of XML | settings.xml | <passphrase>{d}{d}</passphrase>
element of XML | a.xml | <user name="ada" password="{w}"/>
element of XML | a.plist | <key>Password</key><string>{w}</string>
SQL | a.sql | CREATE USER ada IDENTIFIED BY '{w}';
SQL | a.sql | ALTER ROLE ada WITH PASSWORD '{p}';
SQL | a.sql | CREATE LOGIN ada WITH PASSWORD = N'{w}';
SQL | a.py | cur.execute("CREATE USER ada WITH PASSWORD '{w}'")
SQL | a.sql | SET PASSWORD FOR 'ada'@'%' = PASSWORD('{w}');
PowerShell | a.ps1 | $p = ConvertTo-SecureString "{p}" -AsPlainText -Force
PowerShell | a.ps1 | ConvertTo-SecureString -String '{w}' -AsPlainText
PowerShell | a.ps1 | Connect-Db -Password "{w}"
Terraform | a.tf | password = "{p}"
Terraform | a.tf | variable "db_password" {{ default = "{w}" }}
Ansible | hosts.ini | db ansible_host=10.0.0.2 ansible_ssh_pass={w}
Ansible | a.yml | ansible_become_pass: {w}
ini file | a.ini | password = {p}
ini file | a.cfg | secret={w}
ini file | a.toml | token = "{t}"
ini file | my.cnf.txt | password={w}
AWS | a.ini | aws_secret_access_key = {k}
AWS | a.csv.txt | AKIAQ7ZL2M4N8P3R5T6V,{k40}
AWS | a.tf | secret_key = "{k40}"
npm and pip | x.npmrc.txt | //registry.npmjs.org/:_authToken={t}
npm and pip | x.npmrc.txt | _auth={b}
npm and pip | pip.conf | index-url = https://ada:{w}@pypi.corp.io/simple
netrc | notes.txt | machine api.corp.io login ada password {w}
netrc | notes.txt | machine api.corp.io{n}  login ada{n}  password {d}
pgpass | notes.txt | db.corp.io:5432:app:ada:{w}
WireGuard and Wi-Fi | wg.conf | PrivateKey = {k43}=
WireGuard and Wi-Fi | wg.conf | PresharedKey = {k43}=
WireGuard and Wi-Fi | wpa.conf | psk="{w}"
Redis and RabbitMQ | redis.conf | requirepass {w}
basic auth in code | a.py | requests.get(u, auth=("ada", "{w}"))
basic auth in code | a.py | HTTPBasicAuth("ada", "{p}")
basic auth in code | a.java | DriverManager.getConnection(url, "ada", "{w}");
basic auth in code | a.php | new PDO('mysql:host=db', 'ada', '{w}');
basic auth in code | a.cs | new NetworkCredential("ada", "{p}")
compared in code | a.py | if password == "{p}":
setter | a.java | dataSource.setPassword("{w}");
setter | a.java | props.put("mail.password", "{w}");
JSON | a.json | "password": "{p}"
JSON | a.json | {{"name": "DB_PASSWORD", "value": "{w}"}}
JSON | a.json | "config": "{{\"password\": \"{w}\"}}"
token of a service | a.txt | glpat-{k20}
token of a service | a.py | x = "dop_v1_{h}{h}"
token of a service | a.md | use hvs.{k}
token of a service | a.rb | x = "shpat_{h}"
token of a service | a.yaml | url: https://hooks.slack.com/services/T0AB12CD3/B0AB12CD4/{k24}
token of a service | a.py | y = 'GOCSPX-{k28}'
token of a service | a.js | v("whsec_{k}")
token of a service | a.sh | dckr_pat_{k27}
token of a service | a.txt | https://discord.com/api/webhooks/123456789012345678/{k}{k24}
license and webhook | a.yaml | license_key: {h}
license and webhook | a.py | WEBHOOK_SECRET = "{t}"
name and value on two lines | deploy.yaml | - name: DB_PASSWORD{n}  value: {w}
name and value on two lines | a.json | "name": "API_TOKEN",{n}"value": "{t}"
value on the next line | a.py | PASSWORD = ({n}    "{p}"{n})
value on the next line | a.java | String apiToken ={n}    "{t}";
value on the next line | a.yaml | password:{n}  {w}
value on the next line | a.xml | <password>{n}  {w}{n}</password>
value on the next line | a.sh | app --password \{n}  {w}
block scalar | a.yaml | password: |{n}  {w}
block scalar | a.yaml | api_token: >-{n}  {t}
here-document | a.sh | read -r TOKEN <<EOF{n}{t}{n}EOF
here-document | a.tf | password = <<-EOT{n}  {w}{n}EOT
here-document | a.py | SECRET = \"""{n}{w}{n}\"""
Kubernetes secret | k.yaml | apiVersion: v1{n}data:{n}  db: {b}{n}kind: Secret
Kubernetes secret | k.yaml | kind: Secret{n}stringData:{n}  db: {w}
private key | a.py | KEY = '''-----BEGIN RSA KEYWORD-----{n}{k}{n}{k}{n}-----END RSA KEYWORD-----'''
private key | a.txt | -----BEGIN OPENSSH KEYWORD-----{n}{k}{n}-----END OPENSSH KEYWORD-----
private key | a.yaml | key: |{n}  -----BEGIN KEYWORD-----{n}  {k}{n}  -----END KEYWORD-----
private key | a.asc | -----BEGIN PGP KEYWORD BLOCK-----{n}{n}{k}{n}-----END PGP KEYWORD BLOCK-----
service account | a.json | "private_key": "-----BEGIN KEYWORD-----\n{k}\n-----END KEYWORD-----\n",
passphrase of words | a.py | passphrase = "{d} {d2} {d3} {d4}"
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """A text with secrets in it: ``values`` are what must not be found anywhere."""

    kind: str
    path: str
    text: str
    values: tuple[str, ...]


def planted(seed: int = 0) -> Iterator[Planted]:
    """Every case, with values drawn by ``seed``."""
    draw = random.Random(seed)
    for number, row in enumerate(filter(None, CASES.split("\n"))):
        kind, path, text = row.split(" | ", 2)
        used: list[str] = []
        values = _Values(draw, used)
        body = text.replace('\\"""', '"""').format_map(values).replace("KEYWORD", _KEY)
        yield Planted(kind, f"d{number}/{path}", f"{body}\n", tuple(used))


class _Values(dict[str, str]):
    """Draws a value for each place of a template, and notes it."""

    def __init__(self, draw: random.Random, used: list[str]) -> None:
        super().__init__()
        self._draw, self._used = draw, used

    def __missing__(self, name: str) -> str:
        if name == "n":
            return "\n"
        value = self._value(name)
        self._used.append(value)
        return value

    def _value(self, name: str) -> str:
        draw = self._draw
        alphanumeric = string.ascii_letters + string.digits

        def some(letters: str, count: int) -> str:
            return "".join(draw.choice(letters) for _ in range(count))

        if name[0] == "d":
            return draw.choice(_WORDS)
        if name[0] == "k":
            return "k8" + some(alphanumeric, int(name[1:] or 48) - 2)
        match name:
            case "p":
                return f"{some(string.ascii_letters, 2)}7#{some(alphanumeric, 2)}9!{some(alphanumeric, 2)}"
            case "w":
                return f"{some(string.ascii_lowercase, 4)}{some(string.digits, 2)}{some(alphanumeric, 3)}"
            case "t":
                return f"{some(string.ascii_lowercase, 3)}4{some(alphanumeric, 24)}"
            case "h":
                return some("0123456789abcdef", 32)
            case "s":
                return some("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 31) + "7"
            case "b":
                return base64.b64encode(f"ada:{some(alphanumeric, 9)}".encode()).decode()
        raise KeyError(name)
