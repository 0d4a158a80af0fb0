namespace VhdService.HyperV;

/// <summary>Guest memory that begins at guest physical address 0 and lies in one piece here. Owns nothing: the caller keeps the memory until the devices are disposed of.</summary>
public sealed class FlatGuestMemory : IGuestMemory
{
    private readonly nint _address;
    private readonly long _length;

    /// <summary>Describes memory.</summary>
    /// <param name="address">Where the guest's first byte lies, aligned to a page of 4096 bytes.</param>
    /// <param name="length">Bytes; a multiple of 4096.</param>
    /// <exception cref="ArgumentOutOfRangeException">Either is not aligned, or <paramref name="length"/> is negative.</exception>
    public FlatGuestMemory(nint address, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(address % GuestMemoryExtensions.PageSize, 0, nameof(address));
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(length % GuestMemoryExtensions.PageSize, 0, nameof(length));
        _address = address;
        _length = length;
    }

    /// <summary>Bytes.</summary>
    public long Length => _length;

    /// <inheritdoc/>
    public bool TryGetAddress(ulong guestPhysicalAddress, long length, out nint address)
    {
        if (length < 0 || guestPhysicalAddress > (ulong)_length || (ulong)length > (ulong)_length - guestPhysicalAddress)
        {
            address = 0;
            return false;
        }

        address = _address + (nint)guestPhysicalAddress;
        return true;
    }
}
