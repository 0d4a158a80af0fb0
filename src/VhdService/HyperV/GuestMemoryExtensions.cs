namespace VhdService.HyperV;

/// <summary>Copies into and out of guest memory. A range may cross pages; all of it is copied, or nothing.</summary>
public static unsafe class GuestMemoryExtensions
{
    /// <summary>Bytes in a page of guest memory.</summary>
    public const int PageSize = 4096;

    /// <summary>Copies a range of guest memory. What was copied is private, and safe to judge.</summary>
    /// <returns>False when not all of the range is memory; <paramref name="into"/> holds nothing of use then.</returns>
    public static bool TryRead(this IGuestMemory memory, ulong guestPhysicalAddress, Span<byte> into)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!IsMemory(memory, guestPhysicalAddress, into.Length))
        {
            return false;
        }

        while (into.Length > 0)
        {
            var run = RunInPage(guestPhysicalAddress, into.Length);
            if (!memory.TryGetAddress(guestPhysicalAddress, run, out var address))
            {
                return false;
            }

            // Safety: TryGetAddress vouches for `run` bytes at `address`.
            new ReadOnlySpan<byte>((void*)address, run).CopyTo(into);
            into = into[run..];
            guestPhysicalAddress += (uint)run;
        }

        return true;
    }

    /// <summary>Copies <paramref name="from"/> over a range of guest memory.</summary>
    /// <returns>False when not all of the range is memory; nothing was changed then.</returns>
    public static bool TryWrite(this IGuestMemory memory, ulong guestPhysicalAddress, ReadOnlySpan<byte> from)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!IsMemory(memory, guestPhysicalAddress, from.Length))
        {
            return false;
        }

        while (from.Length > 0)
        {
            var run = RunInPage(guestPhysicalAddress, from.Length);
            if (!memory.TryGetAddress(guestPhysicalAddress, run, out var address))
            {
                return false;
            }

            // Safety: TryGetAddress vouches for `run` bytes at `address`.
            from[..run].CopyTo(new Span<byte>((void*)address, run));
            from = from[run..];
            guestPhysicalAddress += (uint)run;
        }

        return true;
    }

    private static bool IsMemory(IGuestMemory memory, ulong guestPhysicalAddress, int length)
    {
        if ((ulong)length > ulong.MaxValue - guestPhysicalAddress)
        {
            return false;
        }

        while (length > 0)
        {
            var run = RunInPage(guestPhysicalAddress, length);
            if (!memory.TryGetAddress(guestPhysicalAddress, run, out _))
            {
                return false;
            }

            length -= run;
            guestPhysicalAddress += (uint)run;
        }

        return true;
    }

    private static int RunInPage(ulong guestPhysicalAddress, int length) => Math.Min(length, PageSize - (int)(guestPhysicalAddress % PageSize));
}
