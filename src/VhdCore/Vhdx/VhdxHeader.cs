namespace VhdCore.Vhdx;

/// <summary>One of the two headers ([MS-VHDX] §2.2.2): the root of all structures.</summary>
internal sealed record VhdxHeader
{
    /// <summary>Bytes from the file's start: 64 KiB or 128 KiB.</summary>
    public long FileOffset { get; init; }

    public bool HasSignature { get; init; }

    public bool ChecksumIsValid { get; init; }

    /// <summary>The signature and the checksum are right. Fields of another header may be nonsense.</summary>
    public bool IsValid => HasSignature && ChecksumIsValid;

    /// <summary>Of two valid headers, the one with the greater number is current.</summary>
    public ulong SequenceNumber { get; init; }

    /// <summary>New in every session that changes the file.</summary>
    public Guid FileWriteGuid { get; init; }

    /// <summary>New in every session that changes what the guest can see; children name their parent by it.</summary>
    public Guid DataWriteGuid { get; init; }

    /// <summary>The log entries that count have this; all zeros when there is nothing to replay.</summary>
    public Guid LogGuid { get; init; }

    public ushort LogVersion { get; init; }

    public ushort Version { get; init; }

    /// <summary>Bytes.</summary>
    public uint LogLength { get; init; }

    /// <summary>Bytes from the file's start.</summary>
    public ulong LogOffset { get; init; }

    /// <summary>The log holds entries that must be replayed before anything else is read.</summary>
    public bool HasLogToReplay => LogGuid != Guid.Empty;
}
