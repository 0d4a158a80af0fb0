using MiniHypervisor.Kvm;
using VhdService.HyperV;

namespace MiniHypervisor;

/// <summary>The guest's memory: one piece from address 0, taken from the host as the guest touches it.</summary>
internal sealed unsafe class GuestMemory : IGuestMemory, IDisposable
{
    /// <summary>Interrupt controllers and KVM's own pages lie from 3 GiB on.</summary>
    public const long MaxLength = 3L << 30;

    public GuestMemory(long length)
    {
        Length = length;
        Address = KvmCalls.Map(-1, (nuint)length);
    }

    /// <summary>Where the first byte lies in this process.</summary>
    public nint Address { get; private set; }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    /// <inheritdoc/>
    public bool TryGetAddress(ulong guestPhysicalAddress, long length, out nint address)
    {
        var isInside = length >= 0 && guestPhysicalAddress <= (ulong)Length && (ulong)length <= (ulong)Length - guestPhysicalAddress;
        address = isInside ? Address + (nint)guestPhysicalAddress : 0;
        return isInside;
    }

    /// <summary>A range as a span, for those who put a guest together.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie in the memory.</exception>
    public Span<byte> Span(long address, int length)
    {
        if (!TryGetAddress((ulong)address, length, out var here))
        {
            throw new ArgumentOutOfRangeException(nameof(address), $"{length} bytes at {address:X} do not lie in {Length >> 20} MiB of memory. Give the guest more.");
        }

        // Safety: inside the mapping, checked above; callers do not keep it beyond Dispose.
        return new Span<byte>((void*)here, length);
    }

    public void Dispose()
    {
        _ = KvmCalls.Unmap(Address, (nuint)Length);
        Address = 0;
    }
}
