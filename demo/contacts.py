"""Made-up contacts of many countries and scripts, the same ones every time, with a few invalid rows among them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

COLUMNS = (
    "contact_name",
    "company_name",
    "contact_type",
    "customer_sub_type",
    "website",
    "language_code",
    "credit_limit",
    "payment_terms",
    "notes",
    "billing_address.attention",
    "billing_address.address",
    "billing_address.city",
    "billing_address.state",
    "billing_address.zip",
    "billing_address.country",
    "billing_address.phone",
    "shipping_address.address",
    "shipping_address.city",
    "shipping_address.zip",
    "shipping_address.country",
    "contact_persons[0].salutation",
    "contact_persons[0].first_name",
    "contact_persons[0].last_name",
    "contact_persons[0].email",
    "contact_persons[0].phone",
    "contact_persons[0].is_primary_contact",
    "contact_persons[1].first_name",
    "contact_persons[1].last_name",
    "contact_persons[1].email",
    "contact_persons[2].first_name",
    "contact_persons[2].last_name",
    "contact_persons[2].mobile",
    "cf_external_id",
    "cf_region",
    "cf_loyalty_number",
)

Row = dict[str, str]

# country, language, calling code, postcode pattern (# is a digit, others as they are), cities, given, family, company
PLACES: tuple[tuple[str, str, str, str, str, str, str, str], ...] = (
    (
        "Germany",
        "de",
        "+49",
        "0####",
        "Köln Görlitz Zürs Weiß",
        "Jürgen Zoë Käthe Björn",
        "Müßig Strauß Größl Öztürk",
        "Bäckerei Werkstätten Söhne",
    ),
    (
        "France",
        "fr",
        "+33",
        "0####",
        "Nîmes Besançon Orléans Évry",
        "Hélène Benoît Zoé François",
        "Lefèvre Noël D'Aubigné Çelik",
        "Crèmerie Pâtisserie Frères",
    ),
    (
        "Spain",
        "es",
        "+34",
        "0####",
        "Cádiz Logroño Málaga León",
        "José Íñigo Begoña Núria",
        "Muñoz Peña Güell Ibáñez",
        "Señorío Almacén Compañía",
    ),
    (
        "Poland",
        "",
        "+48",
        "##-###",
        "Łódź Gdańsk Kraków Poznań",
        "Łukasz Świętosława Żaneta Józef",
        "Wójcik Żółć Gęś Brzęczyszczykiewicz",
        "Piekarnia Spółka Księgarnia",
    ),
    (
        "Czechia",
        "",
        "+420",
        "### ##",
        "Plzeň Kroměříž Ústí Brno",
        "Jiří Růžena Zdeňka Ondřej",
        "Dvořák Šťastný Němcová Říha",
        "Řeznictví Truhlářství Závod",
    ),
    (
        "Turkey",
        "",
        "+90",
        "#####",
        "İstanbul Çankırı Muğla Iğdır",
        "Gülşen İbrahim Çağla Ömer",
        "Şahin Yıldız Öğüt Işık",
        "Kırtasiye Fırın Ticaret",
    ),
    ("Vietnam", "", "+84", "######", "Huế Nẵng Thơ Lạt", "Nguyễn Trần Lê Phạm", "Hữu Thị Đức Mỹ", "Phở Xưởng Cửa"),
    (
        "Greece",
        "",
        "+30",
        "### ##",
        "Αθήνα Πάτρα Ιωάννινα Χανιά",
        "Γιώργος Ελένη Άννα Νίκος",
        "Παπαδόπουλος Ιωάννου Ζαΐμης Οικονόμου",
        "Αρτοποιείο Εταιρεία Υιοί",
    ),
    (
        "Ukraine",
        "",
        "+380",
        "0####",
        "Київ Львів Запоріжжя Чернівці",
        "Олексій Їжакевич Ґалина Юрій",
        "Шевченко Кравець Їздовий Щербак",
        "Пекарня Товариство Майстерня",
    ),
    (
        "Bulgaria",
        "",
        "+359",
        "####",
        "София Пловдив Варна Русе",
        "Георги Цветан Йорданка Щерю",
        "Иванов Димитрова Ъглов Янков",
        "Фурна Книжарница Заводи",
    ),
    (
        "Egypt",
        "",
        "+20",
        "#####",
        "القاهرة الإسكندرية أسوان طنطا",
        "محمد فاطمة أحمد ليلى",
        "الشريف حسين المصري عبدالله",
        "شركة مخبز مؤسسة",
    ),
    (
        "Israel",
        "",
        "+972",
        "#######",
        "ירושלים חיפה אשדוד נתניה",
        "יוסף מרים דוד שרה",
        "כהן לוי מזרחי ביטון",
        "מאפייה חברה סדנה",
    ),
    (
        "India",
        "",
        "+91",
        "######",
        "दिल्ली लखनऊ जयपुर पुणे",
        "राहुल प्रिया कृष्ण अनुष्का",
        "शर्मा गुप्ता श्रीवास्तव ठाकुर",
        "भंडार उद्योग कंपनी",
    ),
    (
        "Sri Lanka",
        "",
        "+94",
        "0####",
        "யாழ்ப்பாணம் கொழும்பு வவுனியா மன்னார்",
        "கார்த்திக் லட்சுமி முருகன் பிரியா",
        "சுப்பிரமணியம் ராஜன் கண்ணன் தேவி",
        "நிறுவனம் கடை ஆலை",
    ),
    (
        "China",
        "zh",
        "+86",
        "0#####",
        "北京 上海 成都 哈尔滨",
        "伟 秀英 建国 晓明",
        "王 欧阳 李 司马",
        "有限公司 面包房 工厂",
    ),
    (
        "Taiwan",
        "zh",
        "+886",
        "###",
        "臺北 高雄 臺南 嘉義",
        "淑芬 志明 雅婷 家豪",
        "陳 歐陽 龔 蕭",
        "股份有限公司 麵包店 書局",
    ),
    (
        "Japan",
        "ja",
        "+81",
        "0##-####",
        "東京 札幌 那覇 京都",
        "さくら ケンジ 陽子 翔太",
        "髙橋 渡邊 佐藤 齋藤",
        "株式会社 製作所 ベーカリー",
    ),
    (
        "South Korea",
        "",
        "+82",
        "0####",
        "서울 부산 전주 제주",
        "민준 서연 지훈 하은",
        "김 남궁 이 황보",
        "주식회사 제과점 공방",
    ),
    (
        "Thailand",
        "",
        "+66",
        "#####",
        "กรุงเทพฯ เชียงใหม่ ภูเก็ต อุบลราชธานี",
        "สมชาย กัญญา ณัฐวุฒิ พิมพ์ใจ",
        "ศรีสุข วงศ์ใหญ่ ทองดี แก้วมณี",
        "บริษัท ร้านเบเกอรี่ โรงงาน",
    ),
    (
        "Brazil",
        "pt_br",
        "+55",
        "0####-###",
        "São_Paulo Belém Goiânia Maceió",
        "João Conceição Antônio Inês",
        "Gonçalves Araújo Brandão D'Ávila",
        "Padaria Fábrica Irmãos",
    ),
    (
        "United States",
        "",
        "+1",
        "0####",
        "Boston Cañon Newark Hartford",
        "Mary-Jane Robert Renée DeShawn",
        "O'Neill McDonald Smith-Jones St.Clair",
        "Bakery Hardware Holdings",
    ),
    (
        "United Kingdom",
        "en_gb",
        "+44",
        "AB# #CD",
        "Leeds Wrexham Bath Perth",
        "Siobhán Rhys Niamh Angus",
        "O'Hara Ap-Rhys MacLeod Fforde",
        "Stores Works Brothers",
    ),
)

NOTES = (
    "Pays on time",
    'Asked for "net 60", refused',
    "Two lines:\nring the upper bell; mind the dog",
    "Semicolons; commas, tabs\tand | bars",
    "Prefers e-mail, 3 % discount over €1,000",
    "=not a formula",
    "Met at the fair 🎪 with 👩‍👩‍👧‍👦; très sympathique — 再見",
    "Rückfrage: «Größe XL» oder „normal“?",
    "back\\slash and 'quotes' and a trailing dot.",
)


def contacts(count: int, *, seed: int = 20_250_101) -> list[Row]:
    """Good rows, the same for the same count and seed."""
    chance = random.Random(seed)
    return [_contact(chance, number) for number in range(1, count + 1)]


def _contact(chance: random.Random, number: int) -> Row:
    country, language, code, postcode, cities, given, family, company = chance.choice(PLACES)

    def one(words: str) -> str:
        return chance.choice(words.split()).replace("_", " ")

    person = one(given), one(family)
    business = chance.random() < 0.7
    name = f"{one(company)} {one(family)} & {one(family)}" if business else f"{person[0]} {person[1]}"
    if chance.random() < 0.02:
        # As long as a name may be, counted in characters.
        name = f"{name} · " + " ".join(one(family) for _ in range(60))
        name = name[:175].rstrip()
    if chance.random() < 0.03:
        name += chance.choice((" 🌍", " 👩🏽‍💻", ' "The Best"', ", Inc.", " (old; closed?)"))
    # Names are unique in an organisation; a number at the end keeps made-up ones apart.
    name = f"{name} {number}"
    row = dict.fromkeys(COLUMNS, "")
    row["contact_name"] = name
    row["company_name"] = name if business else ""
    row["contact_type"] = chance.choice(("customer", "customer", "customer", "vendor"))
    if row["contact_type"] == "customer":
        row["customer_sub_type"] = "business" if business else "individual"
        if chance.random() < 0.6:
            row["credit_limit"] = f"{chance.randrange(0, 5_000_000)}.{chance.randrange(100):02d}"
    row["website"] = f"https://example{number % 97}.test/{number}" if chance.random() < 0.3 else ""
    row["language_code"] = language
    row["payment_terms"] = chance.choice(("", "0", "15", "30", "60"))
    row["notes"] = chance.choice(NOTES) if chance.random() < 0.4 else ""
    phone = f"{code} {chance.randrange(10, 99)} {chance.randrange(1_000_000, 9_999_999)}"
    row["billing_address.attention"] = " ".join(person)
    row["billing_address.address"] = f"{one(cities)} {chance.randrange(1, 300)}, {chance.choice('ABCD')}"
    row["billing_address.city"] = one(cities)
    row["billing_address.zip"] = "".join(str(chance.randrange(10)) if sign == "#" else sign for sign in postcode)
    row["billing_address.country"] = country
    row["billing_address.phone"] = phone
    if chance.random() < 0.4:
        row["shipping_address.address"] = f"{chance.randrange(1, 99)} {one(cities)}\nRamp {chance.randrange(1, 9)}"
        row["shipping_address.city"] = one(cities)
        row["shipping_address.zip"] = f"00{chance.randrange(100, 999)}"
        row["shipping_address.country"] = country
    for place in range(chance.choice((1, 1, 1, 2, 2, 3))):
        prefix = f"contact_persons[{place}]."
        row[f"{prefix}first_name"], row[f"{prefix}last_name"] = one(given), one(family)
        if place < 2:
            row[f"{prefix}email"] = f"person{place}.{number}@example{number % 97}.test"
        else:
            row[f"{prefix}mobile"] = f"{code} {chance.randrange(10_000_000, 99_999_999)}"
    row["contact_persons[0].salutation"] = chance.choice(("", "Mr.", "Ms.", "Dr."))
    row["contact_persons[0].phone"] = phone
    row["contact_persons[0].is_primary_contact"] = chance.choice(("true", "TRUE", "yes", "1"))
    row["cf_external_id"] = f"CRM-{number:06d}"
    row["cf_region"] = country
    row["cf_loyalty_number"] = f"00{chance.randrange(10**15, 10**16)}" if chance.random() < 0.5 else ""
    return row


Spoil = Callable[[Row, Row], None]


def _set(column: str, value: str) -> Spoil:
    def spoil(row: Row, first: Row) -> None:
        row[column] = value

    return spoil


def _same_key(row: Row, first: Row) -> None:
    row["cf_external_id"] = first["cf_external_id"]


FAULTS: dict[str, Spoil] = {
    "no name": _set("contact_name", ""),
    "name over 200 characters": _set("contact_name", "ab" * 116),
    "unknown kind of contact": _set("contact_type", "client"),
    "wrong boolean": _set("contact_persons[0].is_primary_contact", "maybe"),
    "wrong amount": _set("credit_limit", "1.234,50 €"),
    "wrong whole number": _set("payment_terms", "thirty"),
    "e-mail over 100 characters": _set("contact_persons[0].email", f"{'e' * 95}@example.test"),
    "no key": _set("cf_external_id", ""),
    "key rounded by a spreadsheet": _set("cf_external_id", "4.6E+14"),
    "key of an earlier row": _same_key,
}


def with_faults(rows: list[Row], share: float, *, seed: int = 7) -> dict[int, str]:
    """Spoils a share of the rows in place, each kind about as often; gives row number (from 1) -> kind."""
    chance = random.Random(seed)
    # The first row stays good: later ones take its key.
    places = sorted(chance.sample(range(1, len(rows)), round(len(rows) * share)))
    kinds = list(FAULTS)
    spoiled: dict[int, str] = {}
    for turn, place in enumerate(places):
        kind = kinds[turn % len(kinds)]
        FAULTS[kind](rows[place], rows[0])
        spoiled[place + 1] = kind
    return spoiled


def write_csv(path: Path, rows: list[Row]) -> None:
    """The rows as a CSV file in UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
