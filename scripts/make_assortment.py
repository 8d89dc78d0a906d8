#!/usr/bin/env python3
"""Makes the demo's assortment: `python scripts/make_assortment.py PATH/off-assortment/swedish.csv`.

Real names and barcodes go to data/assortment-off (Open Food Facts, ODbL); everything else is invented here by fixed
rules and goes to data/assortment-ours. The same input always gives the same bytes. Run again after changing a rule.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

DATA = Path(__file__).parent.parent / "data"
VERSION, MADE, SINCE = "2026-11-22.1", "2026-10-05T06:00", "2026-10-05"

# ---------------------------------------------------------------- which names are sound

ODD = re.compile(r"[^A-Za-z0-9ÅÄÖåäöéèüÉ .,:;'’&%+/()!°–\"*®™-]|[0-9]{6}|rabatt|kampanj|^\W*$", re.IGNORECASE)
FOREIGN = frozenset(
    """
    100x20g 10x1kg 10x750g a1 ail al amande amandes anis antioxydant appelsin appelsin-juice appelsinjuice
    arome au aus aux avec avena avoine ballaststoffe bebida bedienungsanleitung berkensmaak betteraves beurre
    bier biscottes biscuit biscuits bière blanc blé boisson boissons boller bonbon bouillon boulettes brassé
    briochée brändende brötchen bunte bønner cacahuete cannelle cereale champions chocolat chocolate-con
    chokolade cidr citronnade citronpeber cochon colis complet complets compote con confiture coulant croc
    croustillant croustillante croustillants crudités cuisine cuisson cuit cuscús céréales das dattes de del
    der des die digest dinde djungelvraal drueagurker du dulce délibake eau eistee ekologiske en erdbeere
    espinacas et eur evelina fersk ferthalt feuilletée fibres filet five flocons fondant forloren fraise
    framboise framboossmaak fresa frikadeller fruits frutty fumé fusili für galette galettes galletas gateaux
    gaufrettes gingembre glace glögi gourmands graines gressins hafer hafercuisine haferdrink hafertaler
    haltbar haricot haselnuss haselnusstorte hedelmät hefeweizen helado heringshappen huhn huile hvid ijsthee
    instantané is jambon jus kaakao kallen karamelknas karry kaura kauraa kaurajuoma keks kiks kirpeä knaki
    knäckebrod knäckebrot knækbrød kokosmelk kpl kräuter kypsä kälte la lait laktritsi laurier le leipä lenvie
    les levure limón longo léger légumes macaroni maelke maissi makea makeuttamaton maltée mariekjeks marja
    maustepähkinät melange miel mieto mit moniviljarinkula mouchoir mousse mozzarela multifrugtjuice
    multifruits musli-riegel mustikka myrtilles myslipatukka mélange nature naturel naturelle naturelles noir
    noisette noisettes noix nouilles nueces nürnberger oatlty oeuf oeufs ohne olio oliven olivenolje olives
    orginal outly ovomaltine pack pain pains pancement pastilli pavot petit petits piparkakkukuviot poivre
    pollen pomme pommes porc poudre poulet proteine proteines proteiné protéinée pti pulver pur pâte pêche
    renu riisivälipala riz roadster rogge roggen roggenbrot roulé saltede salz salziger sanex sans saumon saus
    saveur schoko schokoladen schwedische seigle sel sheese sin sinappi sirop skærgård smaak smurf soja stücke
    sucette sucre sucres suklaa suolaa sur suuret sésame tablette tartines tendre terninger thon thé
    toilettentücher tomate totilla tricolore tropico truffe truffes truite tunfisk tyynyt täysjyvä und urinary
    uutuustuote vaniljesmak vanille vanillesmaak vann vehnäkorppu velouté vert vezelrijk viande vierge
    vollkorn vähemmän végétal waldfrucht weizenvollkorn wielloziarniste yaourt yogurt-nature zimt zitronen
    zuurdesem œufs
    """.split()
)
# Strong drink is not sold in food shops; tobacco and snus are invented below; the rest is no shop's name for goods.
NOT_SOLD = re.compile(
    r"vodka|absolut|cabernet|\bvin\b|rosé|\bgin\b|whisk|cider|rekorderlig|kopparb|koppaberg|"
    "pistonhead|heineken|lager|amber|bright brew|brewery|punsch 2|pilsner|glögg|snus|oden's|bier|"
    "mackmyra|porsche|hearplus|salvequick|omega 3$|tiger balm|pads|cp 3|test|palace|^(original|"
    "sandwich|care|tack|watts|extra|smoothie|treat|evelina|harmoni|havre|skitat|light|digestive|wasa|"
    "estrella|everyday|reload|hydrate|upgrade|defence|marinade|matris|skogsbär|jordgubb|päron|kokos|"
    "coconut|caribbean|halva|feta|frutty|rosta|rosta!|stark|lemon|spicy garlic|originalet|250 ml|"
    "mj lkchoklad.*|metallic gatsby.*|escamas.*|croq.*|blanchisseur.*|lentilles|vitamine well|"
    r"vitamin b\+d50.*|protein pro|aminopro|mealpro|proteinella.*|noa active herbs|doro .*|lenvie.*|"
    "renjer.*|miami strawberry|black & white.*|everyday ipa|raspberry & coconut|varma koppen|"
    "jätten choklas|beet boost|sunny shaker|wok classique|crisp.n light|plenty the original one|"
    "russins rosiner|vitamin e plus|inlagd still|kalkes.*|kyclling.*|göttbullar|bläblärs.*|"
    "äkta greksik.*|skit.*|gluten och laktosfritt|original favorice|polly pask|labrador.*|"
    ".*labrador.*|anchois.*|finger foods|smurf|outly|oat-ly|piruett|three stars|american kitchen|"
    "latin american kitchen|nice cream|gel 100|raise the bar|kick sea salt|golden berry|i eco|grill|"
    "simply great|carrot crunch|pin ho jade|borkbo suringen|pure via|the leavy bucket|"
    "brooklyn special effect|himlagott|varsågod|längtan|rustik|rustikal|relax & focus|"
    "red bull the .*|green juices|fruit revolution|dream .*|excellence choc 14|lantbuljong|naturdiet|"
    "bites strawberry|antioxidant|cooked choklad)$",
    re.IGNORECASE,
)
TIDY: tuple[tuple[str, str], ...] = (
    (r"\s*\*\s*", " "),
    (r"\s+,", ","),
    (r"\s*/\s*$", ""),
    (r"\s+", " "),
    (r"[\s,.:;!-]+$", ""),
    (r"\bEKO\b", "Eko"),
    (r"(\d)\s?(?:GR|G|gr)\b", r"\1 g"),
    (r"(\d)\s?(?:ML|Ml)\b", r"\1 ml"),
    (r"(\d)ml\b", r"\1 ml"),
)


def sound(name: str) -> str | None:
    """The name as it is printed, or None if it is odd, foreign or not a food shop's."""
    for pattern, instead in TIDY:
        name = re.sub(pattern, instead, name)
    name = name.strip()
    if name.isupper():
        name = name.capitalize()
    words = re.findall(r"[\w’]+", name.lower())
    if ODD.search(name) or NOT_SOLD.search(name) or FOREIGN.intersection(words):
        return None
    if not 4 <= len(name) <= 60 or sum(c.isdigit() for c in name) > len(name) // 2:
        return None
    return name[0].upper() + name[1:]


# ---------------------------------------------------------------- which department

DEPARTMENTS: tuple[tuple[str, str], ...] = (
    (
        "Fryst",
        ("findus|dafgårds|gorbys|billys|grandiosa|coop dagens|culinea|fiskgratäng"),
    ),
    (
        "Skafferi",
        (
            r"nudlar|noodles|ramen|tomat(er|juice|ketchup|puré)|ketchup|buljong|fond\b|vetemjöl|"
            "jordnötssmör|peanuts? butter|smörgåsgurka|hamburger gurka|müsli|musli|muesli|bönor|"
            r"bönröra|havregryn|sylt|marmelad|spaghetti$|soppa|sås\b|relish|olja"
        ),
    ),
    (
        "Fisk",
        (r"tonfisk|sill\b|kaviar"),
    ),
    (
        "Konfektyr",
        ("protein ?bar|chocolate(?! (drink|longlife))|chokladask"),
    ),
    (
        "Dryck",
        (
            "red bull|monster energy|rockstar|energy|nocco|bcaa|vitamin ?well|vitamn|pepsi|coca|"
            r"fanta|\bmer\b|loka|ramlösa|festis|julmust|påskmust|pommac|tonic|ginger (ale|beer)|"
            r"lemonad|vatten\b|water|juice|must\b|smoothie|smothie|froosh|saft|iste\b|ice tea|"
            r"instant tea|\btea\b|\bte\b|kaffe(?!grädd)|nescafé|espresso|expresso|cappuc|oboy|o'boy|"
            "choco drink|chocolate drink|choco(late)? drink|dryck med smak|fruktdryck|pärondryck|"
            "enebärsdricka|sunqueen|proviva|god ?morgon|bravo|fun light|milkshake|aloe ?vera|"
            r"buddha water|smash|cola$|rooibos|roobios|brämhults|\böl\b|vimto|fläder|tassimo|caprimo|"
            "van houten|grapefruit|djungelsoda"
        ),
    ),
    (
        "Glass",
        ("glass(?!ögon)|ice cream|magnum|frozen yoghurt|storstrut|breyers"),
    ),
    (
        "Fryst",
        (
            "pizza|lasagne|findus|dafgårds|gorbys|billys|grandiosa|felix krämig|pytt|pommes|nuggets|"
            r"fiskpinnar|torskfilé|fiskgratäng|dagens pasta|paj\b|tacopaj|dumplings|ica-kökets|"
            "kulpotatis|veg(g|e)|veganska|anamma|oumph|quorn|hälsans|broccolibuketter|pannkakor|"
            "plättar|gratäng|culinea|chef select|potatis tärnad|minimajs|bara att värma"
        ),
    ),
    (
        "Fisk",
        (
            r"sill\b|lax\b|kaviar|tonfisk|räk|skagen|ishavs|matjes|surströmming|torsk|kallrökt|fisk|"
            r"tångkorn|sej\b"
        ),
    ),
    (
        "Snacks",
        (
            r"chips|popcorn|pop corn|ostbåg|dipp?mix|\bdip\b|snacks|nötter|cashew|nutisal|peanuts|"
            "cheez|doodles|estrella|olw|salta pinnar|jordnötter|linschips|majskrokar|matchbollar|"
            "match-bollar|mandel & havssalt|solrosfrön"
        ),
    ),
    (
        "Konfektyr",
        (
            "choklad|choco|marabou|daim|godis|bilar|läkerol|lakerol|lakrits|malaco|gott (&|"
            "och)? ?blandat|polly|kexchoklad|plopp|sportlunch|cloetta|toffifee|snickers|smarties|"
            "toblerone|bubs|haribo|vingummi|fruktkolor|aladdin|japp|marianne|chewing|tuggummi|"
            "protein ?bar|barebells|swebar|jelly|praline|konfekt|candy|pandy|kinder|center|mintstång|"
            "dukat|limosiner|djungel|sour mix|goody|truffel|getraw|truffles|ginger chew|paleo crunch|"
            "halloween mix"
        ),
    ),
    (
        "Bröd",
        (
            r"bröd|limpa|knäcke|wasa|skorpa|skorpor|bulle|gifflar|kaka\b|kakor|pepparkak|rost\b|toast|"
            "franska|polar|pågen|krisprolls|leksand|tortilla|wrap|taco shell|baguett|kex|ballerina|"
            "cookies|biskvi|småkak|flarn|mazarin|tårta|almondy|cake|bakelse|delicato|singoalla|brago|"
            r"sviktat|fralla|muffin|våff|crispbread|thins|rågut|rågkaka|göteborgs|gille|annas|rån\b|"
            "levain|kubb|digestive|cracker|husman|runda|surdeg"
        ),
    ),
    (
        "Kött & chark",
        (
            "kött|korv|skinka|bacon|leverpastej|salami|medwurst|kyckling|chicken|kalkon|fläsk|"
            r"nöt(färs|\b)|biff|järpar|hamburgare|burger|renost|pulled pork|schnitzel|meatballs|beef|"
            r"frikadell|kalv(?!fond)|karré|färs\b|wienerkorv"
        ),
    ),
    (
        "Mejeri",
        (
            r"mjölk|yog|fil\b|filmjölk|\bfil|grädd|smör|bregott|lätta|ost\b|ost(?=[ ,])|keso|cottage|"
            r"kvarg|creme fraiche|crème fraiche|kesella|ägg\b|eggs|kefir|skyr|oatly|havre ?dryck|"
            "oat-ly|philadelphia|halloumi|mozzarella|ricotta|mascarpone|cheddar|gouda|edamer|"
            "billinge|risifrutti|pudding|margarin|matfett|parmigiano|yoggi|mjukost|cheese|laktosfri|"
            "färskost|flora|becel|tzatziki|activia|labneh|cantadou|milbona|ängens|valio|rapsodi|"
            "soft cheese|creme cheese|salladsost|parmesan"
        ),
    ),
    (
        "Frukt & grönt",
        (
            r"avokado|sallad\b|isbergs|tomater kvist|körsbärstomat|potatis$|grönkål|grönkal|groddar|"
            r"plum tomat|sweet potatoes|mangoskivor|jordgubbar$|pumpa\b|hummus|falafel|guacamole"
        ),
    ),
)


def department(name: str, guess: str) -> str:
    lowered = name.lower()
    for group, words in DEPARTMENTS:
        if re.search(words, lowered):
            return group
    by_guess = {"mejeri": "Mejeri", "brod": "Bröd", "konfektyr": "Konfektyr", "snacks": "Snacks", "dryck": "Dryck"}
    return by_guess.get(guess, "Skafferi")


SIZE = re.compile(r"\b([0-9]{1,4})(?:[.,]([0-9]{1,2}))? ?(kg|g|l|dl|cl|ml|st|-?p(?:ack)?)\b", re.IGNORECASE)


def size(name: str) -> str:
    found = SIZE.search(name)
    if found is None:
        return "12 st" if re.search(r"\b12 ägg", name) else ""
    unit = found[3].lower()
    unit = "st" if unit.lstrip("-").startswith("p") else unit
    return f"{found[1]}{',' + found[2] if found[2] else ''} {unit}"


# ---------------------------------------------------------------- our invention

# group: lowest and highest price in kronor, usual contents, mark-down belongs to fresh goods only
TERMS: Mapping[str, tuple[int, int, tuple[tuple[int, str], ...]]] = {
    "Dryck": (12, 39, ((330, "l"), (500, "l"), (1500, "l"))),
    "Glass": (25, 69, ((500, "l"), (1000, "l"))),
    "Fryst": (25, 79, ((350, "kg"), (400, "kg"), (600, "kg"))),
    "Fisk": (22, 89, ((150, "kg"), (240, "kg"), (400, "kg"))),
    "Snacks": (15, 36, ((175, "kg"), (200, "kg"), (275, "kg"))),
    "Konfektyr": (9, 45, ((80, "kg"), (120, "kg"), (200, "kg"))),
    "Bröd": (15, 42, ((275, "kg"), (400, "kg"), (500, "kg"))),
    "Kött & chark": (25, 109, ((300, "kg"), (400, "kg"), (800, "kg"))),
    "Mejeri": (12, 59, ((300, "kg"), (500, "kg"), (1000, "kg"))),
    "Frukt & grönt": (15, 39, ((250, "kg"), (500, "kg"))),
    "Skafferi": (12, 59, ((250, "kg"), (400, "kg"), (500, "kg"))),
}
# "Dryck" comes in cartons and jars too: only these are cans and PET bottles with a deposit.
PANT = re.compile(
    r"red bull|monster|rockstar|energy|nocco|bcaa|vitamin ?well|vitamn|pepsi|coca|fanta|\bmer\b|loka|ramlösa|must\b|"
    r"pommac|tonic|ginger (ale|beer)|lemonad|vatten\b|mineral water|aloe ?vera|buddha|smash|cola|vimto|stilla",
    re.IGNORECASE,
)
ENERGY = re.compile(r"red bull|monster|rockstar|energy|nocco|bcaa", re.IGNORECASE)
MIXES: tuple[tuple[str, str], ...] = (
    ("chips", r"chips|cheez"),
    ("chokladkaka", r"marabou"),
    ("knacke", r"knäcke|wasa|leksand"),
    ("pizza", r"pizza"),
    ("lask", r"pepsi|coca|fanta|pommac|must\b|loka|ramlösa|\bmer\b"),
    ("energi", r"energy|red bull|monster|nocco|bcaa|rockstar"),
    ("keso", r"keso|cottage"),
    ("kvarg", r"kvarg|skyr"),
    ("tacokvall", r"santa maria|taco|tortilla|salsa"),
    ("proteinbar", r"protein ?bar|barebells|swebar"),
    ("dipp", r"dipp?mix|\bdip\b"),
    ("juice", r"juice"),
    ("sill", r"sill\b|matjes"),
    ("kakor", r"ballerina|singoalla|brago|cookies|pepparkak"),
    ("ketchup", r"ketchup"),
    ("fardigratt", r"findus dagens|dafgårds|felix"),
    ("musli", r"müsli|musli|granola|havregryn"),
    ("godis", r"bilar|malaco|bubs|polly|gott blandat|läkerol"),
)


def price(kronor: int, key: str) -> int:
    """A shelf price in öre: they end on 90, 95, 50 or even kronor."""
    return kronor * 100 - (10, 5, 50, 0, 10, 5)[crc32(f"end{key}".encode()) % 6]


def pick(key: str, what: str, out_of: int) -> int:
    return crc32(f"{what}:{key}".encode()) % out_of


def prices(key: str, low: int, high: int) -> list[dict[str, Any]]:
    now = price(low + pick(key, "price", high - low + 1), key)
    found: list[dict[str, Any]] = [{"valid_from": SINCE, "ore": now}]
    if pick(key, "member", 14) == 0:
        found[0]["member_ore"] = now * 17 // 20 // 10 * 10
    if pick(key, "future", 30) == 0:  # the price after the weekend, and the one of the new year
        when = ("2026-11-23", "2026-11-30", "2026-12-28", "2027-01-04")[pick(key, "when", 4)]
        found.append({"valid_from": when, "ore": now + 200})
    elif pick(key, "week", 40) == 0:  # this week's price, then the old one again
        found.append({"valid_from": "2026-11-16", "ore": now * 4 // 5 // 10 * 10, "valid_to": "2026-11-30"})
    return found


def terms(number: str, gtins: list[str], name: str, group: str, measured: str, alcohol: str) -> dict[str, Any]:
    low, high, contents = TERMS[group]
    term: dict[str, Any] = {"number": number, "gtins": gtins, "group": group, "vat": "food", "unit": "st"}
    term["prices"] = prices(gtins[0], low, high)
    if not measured:
        term["content_milli"], term["content_unit"] = contents[pick(gtins[0], "content", len(contents))]
        if group == "Mejeri" and re.search(r"mjölk|fil\b|grädde|dryck|oatly", name, re.IGNORECASE):
            term["content_milli"], term["content_unit"] = (300, "l") if "grädde" in name.lower() else (1000, "l")
        if group == "Dryck" and re.search(
            r"kaffe|te\b|tea|nescaf|capp|choco|oboy|o'boy|houten|tassimo", name, re.IGNORECASE
        ):
            term["content_milli"], term["content_unit"] = 250, "kg"
    if group == "Dryck" and PANT.search(name):
        litres = term.get("content_milli", 500)
        term["pant"] = "9003" if litres >= 1000 else "9002"
    if group == "Dryck" and ENERGY.search(name):
        term["age"] = 15
    if alcohol and 2.25 < float(alcohol) <= 3.5 and group == "Dryck":
        term["age"] = 18
    mixes = [mix for mix, words in MIXES if re.search(words, name, re.IGNORECASE)]
    if mixes:
        term["mixes"] = mixes
    return term


def ean13(body: str) -> str:
    """A body of twelve digits with its check digit, as the fourteen that articles are stored by."""
    total = sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(body))
    return f"0{body}{(10 - total % 10) % 10}"


def article(number: str, name: str, group: str, vat: str, unit: str, ore: int, **more: Any) -> dict[str, Any]:
    first: dict[str, Any] = {"valid_from": SINCE, "ore": ore}
    if "member_ore" in more:
        first["member_ore"] = more.pop("member_ore")
    row = {"number": number, "name": name, "group": group, "vat": vat, "unit": unit, "prices": [first]}
    return {**row, **more}


def in_house() -> list[dict[str, Any]]:
    """Goods without a maker's code, and what a shop sells that Open Food Facts has not. All invented."""
    rows = [
        article("9001", "Pant 1 kr (äldre märkning)", "Pant", "none", "st", 100, discountable=False),
        article("9002", "Pant 2 kr", "Pant", "none", "st", 200, discountable=False),
        article("9003", "Pant 3 kr", "Pant", "none", "st", 300, discountable=False),
        article("9004", "Pant 2 kr PET (äldre märkning)", "Pant", "none", "st", 200, discountable=False),
        article("9010", "Papperskasse", "Kasse", "general", "st", 300, quick=1),
        article("9011", "Plastkasse", "Kasse", "general", "st", 700, quick=2),
        article("9012", "Presentkort blomma", "Blommor", "general", "st", 9900),
        article("9020", "Kaffe och bulle, äta här", "Servering", "restaurant", "st", 4500, quick=3, kind="tjanst"),
        article("9021", "Kaffe att ta med", "Servering", "food", "st", 2500, quick=4),
        article("9022", "Grillad kyckling, varm, att ta med", "Servering", "food", "st", 8990, quick=5),
    ]
    by_weight = [
        ("4011", "Bananer", 2790, 10),
        ("4087", "Tomater", 3990, 11),
        ("4664", "Tomater på kvist", 4490, 12),
        ("4017", "Äpplen Granny Smith", 3490, 13),
        ("4128", "Äpplen Pink Lady", 3990, 14),
        ("4409", "Päron", 3490, 15),
        ("4012", "Apelsiner", 2990, 16),
        ("4450", "Clementiner", 2990, 17),
        ("4093", "Gul lök", 1490, 18),
        ("4082", "Rödlök", 1990, 19),
        ("4072", "Potatis, fast", 1490, 20),
        ("4073", "Potatis, mjölig", 1490, 21),
        ("4562", "Morötter i lösvikt", 1690, 22),
        ("4688", "Paprika, röd", 5990, 23),
        ("4069", "Vitkål", 1290, 24),
        ("4023", "Druvor, gröna", 5990, 25),
        ("4608", "Vitlök", 9990, 26),
        ("4612", "Ingefära", 7990, 27),
        ("4750", "Kålrot", 1690, 28),
        ("4539", "Rödbetor", 1990, 29),
    ]
    for place, (plu, name, ore, quick) in enumerate(by_weight):
        more: dict[str, Any] = {"scale_code": f"{100100 + place}", "quick": quick, "max_weight_g": 15_000}
        if plu in ("4011", "4087", "4072"):
            more["member_ore"] = ore - 500
        rows.append(article(plu, name, "Frukt & grönt", "food", "kg", ore, **more))
    by_piece = [
        ("4062", "Gurka", 1790, 40),
        ("4061", "Isbergssallad", 2290, 41),
        ("4065", "Grön paprika", 1490, 42),
        ("4048", "Lime", 590, 43),
        ("4053", "Citron", 690, 44),
        ("4046", "Avokado", 1590, 45),
        ("4959", "Mango", 2490, 46),
        ("4030", "Kiwi", 490, 47),
        ("4430", "Ananas", 3490, 48),
        ("4899", "Persilja i kruka", 2490, 49),
        ("4885", "Basilika i kruka", 2490, 50),
        ("4079", "Broccoli", 2190, 51),
    ]
    for plu, name, ore, quick in by_piece:
        mixes = {"mixes": ["orter"]} if "kruka" in name else {}
        row = article(plu, name, "Frukt & grönt", "food", "st", ore, quick=quick, content_milli=1000, content_unit="st")
        rows.append({**row, **mixes})
    deli = [
        ("Prästost, manuell disk", 14900),
        ("Herrgårdsost, manuell disk", 13900),
        ("Rostbiff, skivad", 32900),
        ("Rökt skinka, skivad", 19900),
        ("Leverpastej, disk", 12900),
        ("Räksallad", 18900),
        ("Potatissallad, disk", 7990),
        ("Gravad lax", 39900),
        ("Varmrökt lax", 34900),
        ("Räkor med skal", 24900),
        ("Torskrygg, färsk", 34900),
        ("Laxfilé, färsk", 24900),
        ("Nötfärs", 13900),
        ("Blandfärs", 11900),
        ("Entrecôte i bit", 34900),
        ("Fläskfilé", 14900),
        ("Fläskkarré", 9990),
        ("Kycklingfilé, färsk", 15900),
        ("Grillkorv från disk", 11900),
        ("Köttbullar från disk", 13900),
        ("Oliver, blandade", 19900),
        ("Plockgodis", 10900),
    ]
    for place, (name, ore) in enumerate(deli):
        group = "Konfektyr" if name == "Plockgodis" else "Manuell disk"
        more = {"scale_code": f"{456700 + place}", "max_weight_g": 10_000}
        if name == "Plockgodis":
            more |= {"quick": 30, "tare_g": 5, "member_ore": 7990}
        rows.append(article(f"{600 + place}", name, group, "food", "kg", ore, **more))
    rows.append(
        article(
            "623",
            "Kycklinggratäng, portion",
            "Färdigmat",
            "food",
            "st",
            6990,
            content_milli=400,
            content_unit="kg",
            gtins=[ean13("290000000623")],
        )
    )
    shelf = [
        ("Dagens Bygd, lördag", "Tidningar", "books", 3900, {}),
        ("Korsord i jul", "Tidningar", "books", 6990, {}),
        ("Pocketbok, deckare", "Tidningar", "books", 7900, {}),
        ("Toalettpapper 8 rullar", "Hushåll", "general", 5990, {}),
        ("Hushållspapper 4 rullar", "Hushåll", "general", 4490, {}),
        ("Diskmedel 500 ml", "Hushåll", "general", 2490, {}),
        ("Tvättmedel color 1,3 kg", "Hushåll", "general", 6490, {}),
        ("Maskindisk 60 tabletter", "Hushåll", "general", 9990, {}),
        ("Tandkräm 75 ml", "Hygien", "general", 2290, {"mixes": ["hygien"]}),
        ("Tandborste, mjuk", "Hygien", "general", 1990, {"mixes": ["hygien"]}),
        ("Schampo 250 ml", "Hygien", "general", 3490, {"mixes": ["hygien"]}),
        ("Tvål 300 ml", "Hygien", "general", 2290, {"mixes": ["hygien"]}),
        ("Blöjor storlek 4", "Hygien", "general", 9900, {}),
        ("Batterier AA 8-pack", "Hushåll", "general", 6990, {}),
        ("Värmeljus 100-pack", "Hushåll", "general", 4990, {"mixes": ["ljus"]}),
        ("Kronljus 8-pack", "Hushåll", "general", 3490, {"mixes": ["ljus"]}),
        ("Kattmat våt 12-pack", "Djur", "general", 5990, {}),
        ("Hundmat torr 2 kg", "Djur", "general", 7990, {}),
        ("Tulpaner 10-pack", "Blommor", "general", 5990, {}),
        ("Amaryllis", "Blommor", "general", 7990, {}),
        ("Cigaretter, röda 20-pack", "Tobak", "tobacco", 7900, {"age": 18, "discountable": False}),
        ("Portionssnus, original", "Tobak", "tobacco", 5490, {"age": 18, "discountable": False}),
        ("Vitt snus, mint", "Tobak", "tobacco", 4990, {"age": 18, "discountable": False}),
        (
            "Folköl 2,8 % 33 cl",
            "Dryck",
            "food",
            1090,
            {"age": 18, "pant": "9002", "content_milli": 330, "content_unit": "l"},
        ),
        (
            "Folköl 3,5 % 50 cl",
            "Dryck",
            "food",
            1690,
            {"age": 18, "pant": "9002", "content_milli": 500, "content_unit": "l"},
        ),
        (
            "Läsk 33 cl (äldre pantmärke)",
            "Dryck",
            "food",
            990,
            {"pant": "9001", "content_milli": 330, "content_unit": "l", "mixes": ["lask"]},
        ),
        (
            "Bordsvatten 1,5 l",
            "Dryck",
            "food",
            1190,
            {"pant": "9003", "content_milli": 1500, "content_unit": "l", "mixes": ["lask"]},
        ),
        (
            "Bordsvatten 1,5 l (äldre pantmärke)",
            "Dryck",
            "food",
            1190,
            {"pant": "9004", "content_milli": 1500, "content_unit": "l", "mixes": ["lask"]},
        ),
        ("Alvedon 500 mg 20 tabletter", "Receptfritt", "general", 4490, {"age": 18, "discountable": False}),
        ("Tomtebloss", "Hushåll", "general", 2990, {"age": 18}),
    ]
    for place, (name, group, vat, ore, more) in enumerate(shelf):
        gtin = ean13(f"2900001{place:05d}")
        rows.append(article(f"{700 + place}", name, group, vat, "st", ore, gtins=[gtin], **more))
    return rows


def promotions(by_mix: Mapping[str, list[str]], numbers: list[str]) -> list[dict[str, Any]]:
    """Forty campaigns of all kinds; what is over and what is to come are among them."""
    week, month, xmas = ("2026-11-16", "2026-11-30"), ("2026-11-01", "2026-12-01"), ("2026-11-22", "2026-12-27")
    plan: list[tuple[str, str, tuple[str, str], dict[str, Any]]] = [
        ("3 för 2 Chips", "n_for_m", week, {"mix": "chips", "buy": 3, "pay": 2}),
        ("2 för 45 kr Chokladkaka", "n_for_price", week, {"mix": "chokladkaka", "buy": 2, "price_ore": 4500}),
        ("3 för 60 kr Knäckebröd", "n_for_price", month, {"mix": "knacke", "buy": 3, "price_ore": 6000}),
        (
            "2 för 79 kr Pizza, högst 2 köp",
            "n_for_price",
            week,
            {"mix": "pizza", "buy": 2, "price_ore": 7900, "limit": 2},
        ),
        ("4 för 3 Läsk och vatten", "n_for_m", month, {"mix": "lask", "buy": 4, "pay": 3}),
        ("2 för 35 kr Energidryck", "n_for_price", week, {"mix": "energi", "buy": 2, "price_ore": 3500}),
        ("20 % på Keso", "percent", week, {"mix": "keso", "percent": 20}),
        ("3 för 2 Kvarg, medlem", "n_for_m", month, {"mix": "kvarg", "buy": 3, "pay": 2, "member": True}),
        (
            "15 % på Tacokväll vid köp av 4",
            "percent",
            week,
            {"mix": "tacokvall", "percent": 15, "min_quantity_milli": 4000},
        ),
        ("5 för 4 Proteinbar", "n_for_m", month, {"mix": "proteinbar", "buy": 5, "pay": 4}),
        ("3 för 30 kr Dipp", "n_for_price", month, {"mix": "dipp", "buy": 3, "price_ore": 3000}),
        ("5 kr rabatt Juice", "amount", week, {"mix": "juice", "price_ore": 500}),
        ("3 för 99 kr Julens sill", "n_for_price", xmas, {"mix": "sill", "buy": 3, "price_ore": 9900}),
        ("3 för 2 Kakor", "n_for_m", xmas, {"mix": "kakor", "buy": 3, "pay": 2}),
        ("10 % på Ketchup", "percent", month, {"mix": "ketchup", "percent": 10}),
        ("2 för 89 kr Färdigrätt", "n_for_price", week, {"mix": "fardigratt", "buy": 2, "price_ore": 8900}),
        ("25 % på Müsli och gryn, medlem", "percent", month, {"mix": "musli", "percent": 25, "member": True}),
        ("4 för 3 Godispåse", "n_for_m", week, {"mix": "godis", "buy": 4, "pay": 3}),
        ("2 för 40 kr Örter i kruka", "n_for_price", month, {"mix": "orter", "buy": 2, "price_ore": 4000}),
        ("3 för 2 Hygien", "n_for_m", month, {"mix": "hygien", "buy": 3, "pay": 2}),
        ("2 för 59 kr Ljus", "n_for_price", xmas, {"mix": "ljus", "buy": 2, "price_ore": 5900}),
        ("Medlem: bananer 17,90 kr/kg", "member", week, {"articles": ["4011"], "price_ore": 1790}),
        ("20 % på Prästost", "percent", week, {"articles": ["600"], "percent": 20}),
        ("30 kr/kg rabatt Gravad lax", "amount", xmas, {"articles": ["607"], "price_ore": 3000}),
        (
            "25 % på köttfärs över 1 kg",
            "percent",
            week,
            {"articles": ["612", "613"], "percent": 25, "min_quantity_milli": 1000},
        ),
        (
            "5 för 25 kr Lime och citron",
            "n_for_price",
            month,
            {"articles": ["4048", "4053"], "buy": 5, "price_ore": 2500},
        ),
        ("2 för 25 kr Avokado", "n_for_price", week, {"articles": ["4046"], "buy": 2, "price_ore": 2500}),
        ("Gurka 10 kr, högst 2", "n_for_price", week, {"articles": ["4062"], "buy": 1, "price_ore": 1000, "limit": 2}),
        ("Medlem: clementiner 19,90 kr/kg", "member", xmas, {"articles": ["4450"], "price_ore": 1990}),
        ("Förra veckans 3 för 2 Pizza", "n_for_m", ("2026-11-09", "2026-11-16"), {"mix": "pizza", "buy": 3, "pay": 2}),
        ("Nästa vecka 2 för 1 Kvarg", "n_for_m", ("2026-11-30", "2026-12-07"), {"mix": "kvarg", "buy": 2, "pay": 1}),
        ("Mellandagsrea 30 % Choklad", "percent", ("2026-12-26", "2027-01-07"), {"mix": "chokladkaka", "percent": 30}),
    ]
    rows = []
    for place, (text, kind, (first, last), more) in enumerate(plan, start=1):
        if more.get("mix") and not by_mix.get(str(more["mix"])):
            raise SystemExit(f"no article has the mix {more['mix']}")
        rows.append({"id": f"K{place:03d}", "text": text, "valid_from": first, "valid_to": last, "kind": kind, **more})
    chosen = sorted(numbers, key=lambda number: crc32(f"single:{number}".encode()))
    singles: list[tuple[str, str, dict[str, Any]]] = [
        ("Medlem: 10 % på utvalt", "percent", {"percent": 10, "member": True}),
        ("4 kr rabatt", "amount", {"price_ore": 400}),
        ("2 för 30 kr", "n_for_price", {"buy": 2, "price_ore": 3000}),
        ("3 för 2 Utvalt", "n_for_m", {"buy": 3, "pay": 2}),
    ]
    for place in range(8):
        text, kind, more = singles[place % len(singles)]
        found = sorted(chosen[place * 10 : place * 10 + 10])
        first, last = week
        base = {"id": f"V{place + 1:03d}", "text": text, "valid_from": first, "valid_to": last, "kind": kind}
        rows.append({**base, **more, "articles": found})
    return rows


def markdowns() -> list[dict[str, Any]]:
    fresh = ("Mejeri", "Kött & chark", "Fisk", "Bröd", "Färdigmat", "Manuell disk", "Frukt & grönt")
    return [
        {"group": group, "days_left": days, "percent": percent}
        for group in fresh
        for days, percent in ((2, 30), (1, 50))
    ]


def recalls(by_name: Mapping[str, list[str]]) -> list[dict[str, Any]]:
    """Invented recalls: one of single lots, one of a span of dates. No real goods were found wanting."""
    lots, dates = by_name["Falukorv"][:1], by_name["Kycklingfärs"][:1]
    return [
        {
            "id": "R2026-1",
            "text": "Kan innehålla plastbitar. (Påhittat exempel.)",
            "gtins": lots,
            "lots": ["L4711", "L4712"],
        },
        {
            "id": "R2026-2",
            "text": "Kan innehålla salmonella. (Påhittat exempel.)",
            "gtins": dates,
            "date_from": "2026-11-20",
            "date_to": "2026-11-27",
        },
    ]


def listed(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """One record a line: people compare versions of this file."""
    body = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return f'"{name}":[\n{body}\n]'


def main(source: Path) -> None:
    kept: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    with source.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            name = sound(row["name"])
            code = row["barcode"]
            if name is None or (len(code) == 13 and code.startswith(("2", "02", "04"))):
                continue  # in-store numbers are not these articles' own here
            group = department(name, row["department_guess"])
            kept.setdefault((name.lower(), group), []).append((code.zfill(14), name, row["alcohol"]))
    articles = sorted(kept.items(), key=lambda item: item[1][0][0])
    off = ["gtin\tname\tdepartment\tcontent"]
    ours: list[dict[str, Any]] = []
    by_mix: dict[str, list[str]] = {}
    by_name: dict[str, list[str]] = {}
    for place, ((_, group), found) in enumerate(articles):
        gtins, name = [gtin for gtin, _, _ in found], found[0][1]
        off += [f"{gtin}\t{name}\t{group}\t{size(name)}" for gtin in gtins]
        ours.append(terms(str(10001 + place), gtins, name, group, size(name), found[0][2]))
        by_name[name] = gtins
        for mix in ours[-1].get("mixes", ()):
            by_mix.setdefault(mix, []).append(ours[-1]["number"])
    house = in_house()
    for row in house:
        for mix in row.get("mixes", ()):
            by_mix.setdefault(mix, []).append(row["number"])
    without_mix = [term["number"] for term in ours if "mixes" not in term]
    head = json.dumps(
        {
            "format": 1,
            "version": VERSION,
            "made": MADE,
            "notice": "Invented for demonstration: no shop's prices, offers or recalls. CC0-1.0.",
        },
        ensure_ascii=False,
    )
    parts = [
        listed("terms", ours),
        listed("articles", house),
        listed("promotions", promotions(by_mix, without_mix)),
        listed("recalls", recalls(by_name)),
        listed("markdowns", markdowns()),
    ]
    (DATA / "assortment-off").mkdir(parents=True, exist_ok=True)
    (DATA / "assortment-ours").mkdir(parents=True, exist_ok=True)
    (DATA / "assortment-off" / "articles.tsv").write_text("\n".join(off) + "\n", encoding="utf-8")
    text = head[:-1] + ",\n" + ",\n".join(parts) + "}\n"
    (DATA / "assortment-ours" / "terms.json").write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(ours)} articles with {len(off) - 1} barcodes, {len(house)} of our own\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
