"""Error responses of Zoho to requests that it does not execute, one function a code."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - a response of Zoho, not an error of this package
    """Zoho does not execute the request; nothing was changed."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def missing(name: str) -> Refusal:
    """Code 6: a mandatory field or header is missing."""
    return Refusal(400, 6, f"Mandatory Field {name} is missing.")


def invalid_value(name: str) -> Refusal:
    """Code 2: a value of the wrong type or out of range."""
    return Refusal(400, 2, f"Invalid value passed for {name}")


def not_allowed(name: str) -> Refusal:
    """Code 4: a value outside a closed list, or a parameter that the operation does not have."""
    return Refusal(400, 4, f"Invalid value passed for {name}")


def malformed() -> Refusal:
    """Code 1038: a body that is not well-formed JSON."""
    return Refusal(400, 1038, "JSON is not well formed")


def malformed_form() -> Refusal:
    """Code 1038: a multipart form that cannot be parsed."""
    return Refusal(400, 1038, "The form is not well formed")


def too_long(name: str, maximum: int) -> Refusal:
    """Code 15: a text longer than its field allows."""
    return Refusal(400, 15, f"Please ensure that the {name} has less than {maximum} characters.")


def not_found(what: str) -> Refusal:
    """Code 1002: the record does not exist in this organisation."""
    return Refusal(404, 1002, f"{what} does not exist.")


def name_taken(contact_type: str, contact_name: str) -> Refusal:
    """Code 3062: another contact of this type has the name."""
    return Refusal(400, 3062, f'The {contact_type} "{contact_name}" already exists. Please specify a different name.')


def value_taken(field: str, value: object) -> Refusal:
    """Another contact has this value in a custom field without duplicates; no document names the code, 2 here."""
    return Refusal(400, 2, f"The value {value} of {field} belongs to another contact already.")


def has_transactions() -> Refusal:
    """Code 3000: a contact with transactions cannot be deleted."""
    message = "Customers involved in transactions cannot be deleted. Instead, you can mark them as inactive."
    return Refusal(400, 3000, message)


def no_such_url() -> Refusal:
    """Code 5: no operation has this method and path."""
    return Refusal(404, 5, "Invalid URL Passed")


def not_authenticated() -> Refusal:
    """Code 14: no token, or not under Zoho's scheme."""
    return Refusal(401, 14, "Invalid value passed for authtoken.")


def not_authorized() -> Refusal:
    """Code 57: an expired token or a missing scope; Zoho responds alike to both."""
    return Refusal(401, 57, "You are not authorized to perform this operation")


def wrong_organization(organization_id: str) -> Refusal:
    """Code 6041: the user does not belong to the organisation."""
    return Refusal(400, 6041, f"This user is not associated with the CompanyID/CompanyName:{organization_id}.")
