"""Code lists: the European List of Waste (``ewc``), NACE Rev. 2 (``nace``) and ISIC Rev. 4 (``isic``).

Each has a ``parse_...`` that accepts what people type and returns one canonical form, or refuses with
`ism.domain.errors.InvalidCodeError`. Look-ups are dictionary look-ups; a list is read once, when first asked for.
"""
