using VhdCore.Errors;
using VhdCore.Primitives;
using VhdCore.Storage;

namespace VhdCore.Vhd;

/// <summary>The footers of an image, and which of them counts.</summary>
internal sealed class VhdFooterFinder
{
    private const int OldFooterSize = 511; // bytes; before Virtual PC 2004
    private const int MaxPadding = 64 << 10; // bytes

    private readonly IStorage _storage;
    private readonly List<Finding> _findings;
    private byte[]? _end;
    private long _endOffset = -1;
    private long _paddedOffset = -1; // of a footer with zeros behind it
    private int _endLength = VhdLayout.FooterSize;
    private byte[]? _front;

    private VhdFooterFinder(IStorage storage, List<Finding> findings)
    {
        _storage = storage;
        _findings = findings;
    }

    /// <summary>The bytes of the footer that counts, 512.</summary>
    public byte[] Bytes { get; private set; } = [];

    /// <summary>Where the footer that counts lies.</summary>
    public long Offset { get; private set; }

    /// <summary>Where the end footer lies that belongs to the one that counts; -1 when there is none.</summary>
    public long EndOffset { get; private set; } = -1;

    /// <summary>Bytes of the end footer.</summary>
    public int EndLength => _endLength;

    /// <summary>A footer in any state of this image's disables it.</summary>
    public bool IsPoisoned { get; private set; }

    /// <summary>Looks at the end and at the start.</summary>
    /// <returns>Null when there is no footer; the findings then say so.</returns>
    public static async ValueTask<VhdFooterFinder?> FindAsync(IStorage storage, List<Finding> findings, CancellationToken cancellationToken)
    {
        var finder = new VhdFooterFinder(storage, findings);
        await finder.ReadAsync(cancellationToken).ConfigureAwait(false);
        return finder.Choose() ? finder : null;
    }

    private async ValueTask ReadAsync(CancellationToken cancellationToken)
    {
        var length = _storage.Length;
        if (length >= VhdLayout.FooterSize)
        {
            var bytes = await ReadFooterAsync(length - VhdLayout.FooterSize, VhdLayout.FooterSize, cancellationToken).ConfigureAwait(false);
            if (new VhdFooterView(bytes).HasCookie)
            {
                (_end, _endOffset) = (bytes, length - VhdLayout.FooterSize);
            }
        }

        if (_end is null && length % VhdLayout.SectorSize == OldFooterSize)
        {
            var bytes = await ReadFooterAsync(length - OldFooterSize, OldFooterSize, cancellationToken).ConfigureAwait(false);
            if (new VhdFooterView(bytes).HasCookie)
            {
                (_end, _endOffset, _endLength) = (bytes, length - OldFooterSize, OldFooterSize);
            }
        }

        if (_end is null)
        {
            await LookBeforePaddingAsync(length, cancellationToken).ConfigureAwait(false);
        }

        if (length >= VhdLayout.FooterSize && _endOffset != 0)
        {
            var bytes = await ReadFooterAsync(0, VhdLayout.FooterSize, cancellationToken).ConfigureAwait(false);
            _front = new VhdFooterView(bytes).HasCookie ? bytes : null;
        }
    }

    // Some tools round a file's length up and so bury its footer. It is not taken: only a person can tell a footer from a guest's bytes.
    private async ValueTask LookBeforePaddingAsync(long length, CancellationToken cancellationToken)
    {
        var start = Alignment.Down(Math.Max(0, length - MaxPadding), VhdLayout.SectorSize);
        var tail = new byte[(int)(length - start)];
        await _storage.ReadExactAsync(start, tail, "the file's end", cancellationToken).ConfigureAwait(false);
        var last = tail.AsSpan().LastIndexOfAnyExcept((byte)0);
        var at = last < 0 ? tail.Length : (int)Alignment.Down(last, VhdLayout.SectorSize);
        if (at <= tail.Length - VhdLayout.FooterSize && new VhdFooterView(tail.AsSpan(at)) is { HasCookie: true } footer && footer.ChecksumIsValid())
        {
            _paddedOffset = start + at;
        }
    }

    private async ValueTask<byte[]> ReadFooterAsync(long offset, int size, CancellationToken cancellationToken)
    {
        var bytes = new byte[VhdLayout.FooterSize];
        await _storage.ReadExactAsync(offset, bytes.AsMemory(0, size), "the footer", cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    private bool Choose()
    {
        if (_end is null)
        {
            return ChooseWithoutEnd();
        }

        var end = new VhdFooterView(_end);
        if (end.ChecksumIsValid())
        {
            ChooseWithEnd(end);
            return true;
        }

        // Of a fixed disk, the first sector is the guest's: what looks like a copy there counts only if it is surely one.
        var isCopied = _front is not null && IsValidCopy(_front) && (HasCopy(end.DiskType) || new VhdFooterView(_front).UniqueId == end.UniqueId);
        _findings.Add(new Finding(
            VhdFindingId.FooterChecksum, FindingSeverity.Corruption, "footer", _endOffset,
            $"The footer's checksum is 0x{end.Checksum:X8}, its bytes sum up to 0x{end.ComputeChecksum():X8}: some of it was changed or damaged."
            + (isCopied ? " The copy at the start of the file is sound and serves instead." : ""))
        {
            IsRepairable = true,
            Refusal = isCopied ? FindingRefusal.None : FindingRefusal.Checksum,
            NextStep = ChecksumNextStep,
        });
        if (isCopied)
        {
            Take(_front!, 0, endOffset: -1);
            return true;
        }

        if (_front is not null && HasCopy(end.DiskType))
        {
            AddCopyChecksum(FindingRefusal.None);
        }

        Take(_end, _endOffset, _endOffset);
        return true;
    }

    private void ChooseWithEnd(VhdFooterView end)
    {
        Take(_end!, _endOffset, _endOffset);
        if (!HasCopy(end.DiskType))
        {
            if (_front is not null && IsValidCopy(_front))
            {
                _findings.Add(new Finding(
                    VhdFindingId.FooterInFixedData, FindingSeverity.Note, "footer", 0,
                    "The footer says that this is a fixed disk, and the disk's first sector is a dynamic disk's footer: a guest wrote a VHD onto its disk, or the footer at the end is not this image's."));
            }
        }
        else if (_front is null)
        {
            _findings.Add(new Finding(
                VhdFindingId.FooterCopyMissing, FindingSeverity.Corruption, "footer copy", 0,
                "The copy of the footer at the start of the file is missing. QEMU and XenServer read that one.")
            { IsRepairable = true });
        }
        else if (!new VhdFooterView(_front).ChecksumIsValid())
        {
            AddCopyChecksum(FindingRefusal.None);
        }
        else if (!_front.AsSpan().SequenceEqual(_end))
        {
            ChooseBetweenCopies(end, new VhdFooterView(_front));
        }
    }

    private void ChooseBetweenCopies(VhdFooterView end, VhdFooterView front)
    {
        // The last sector may be a guest's, in a block that was being appended when the power failed. The first never is in a dynamic disk.
        if (end.UniqueId != front.UniqueId && HasCopy(front.DiskType))
        {
            Take(_front!, 0, endOffset: -1);
            _findings.Add(new Finding(
                VhdFindingId.FooterCopyOtherDisk, FindingSeverity.Warning, "footer", _endOffset,
                $"The footer at the end is of the disk {end.UniqueId}, its copy at the start of the disk {front.UniqueId}. The copy counts: what lies at the end may be a guest's data, left there by a crash.")
            {
                IsRepairable = true,
            });
            return;
        }

        var frontCounts = front.IsEarlyTapdisk && HasCopy(front.DiskType);
        if (frontCounts)
        {
            Take(_front!, 0, _endOffset);
        }

        IsPoisoned |= end.IsPoisoned || front.IsPoisoned;
        var onlyHidden = end.Hidden != front.Hidden && EqualsButHidden(_end!, _front!);
        _findings.Add(new Finding(
            VhdFindingId.FooterCopyDiffers, onlyHidden ? FindingSeverity.Note : FindingSeverity.Warning, "footer copy", 0,
            (onlyHidden ? "The footer and its copy differ in XenServer's hidden mark." : $"The footer and its copy at the start differ, in {Differences(end, front)}.")
            + (frontCounts ? " The copy counts, as early tapdisk's tools kept that one true." : " The one at the end counts."))
        {
            IsRepairable = true,
        });
    }

    private bool ChooseWithoutEnd()
    {
        if (_front is null || !HasCopy(new VhdFooterView(_front).DiskType))
        {
            _findings.Add(new Finding(
                VhdFindingId.FooterNone, FindingSeverity.Corruption, "footer", Math.Max(0, _storage.Length - VhdLayout.FooterSize),
                "There is no VHD footer: neither the file's last 512 bytes nor its first begin with 'conectix'.")
            {
                Refusal = FindingRefusal.Corrupt,
                NextStep = _paddedOffset >= 0
                    ? $"A footer lies at byte {_paddedOffset}, with {_storage.Length - _paddedOffset - VhdLayout.FooterSize} zeros behind it that some tool added: cut a copy of the file to {_paddedOffset + VhdLayout.FooterSize} bytes."
                    : "This is another format, or the end of the file was cut off: compare its length with the original's, or name the format (-f raw) if it is a raw image.",
            });
            return false;
        }

        _findings.Add(new Finding(
            VhdFindingId.FooterEndMissing, FindingSeverity.Corruption, "footer", Math.Max(0, _storage.Length - VhdLayout.FooterSize),
            "The file does not end with a footer: it was cut short, or its writer was interrupted. The copy at the start of the file serves instead.")
        {
            IsRepairable = true,
        });
        if (!new VhdFooterView(_front).ChecksumIsValid())
        {
            AddCopyChecksum(FindingRefusal.Checksum);
        }

        Take(_front, 0, endOffset: -1);
        return true;
    }

    private const string ChecksumNextStep =
        "If the image is known to be good otherwise, read it with --ignore-bad-checksum; 'vhdkit check' shows what else is wrong. It is not opened for writing.";

    private void AddCopyChecksum(FindingRefusal refusal)
    {
        var front = new VhdFooterView(_front);
        if (front.ChecksumIsValid())
        {
            return;
        }

        _findings.Add(new Finding(
            VhdFindingId.FooterCopyChecksum, FindingSeverity.Corruption, "footer copy", 0,
            $"The checksum of the footer's copy is 0x{front.Checksum:X8}, its bytes sum up to 0x{front.ComputeChecksum():X8}: some of it was changed or damaged.")
        {
            IsRepairable = true,
            Refusal = refusal,
            NextStep = ChecksumNextStep,
        });
    }

    private void Take(byte[] bytes, long offset, long endOffset)
    {
        (Bytes, Offset, EndOffset) = (bytes, offset, endOffset);
        IsPoisoned = new VhdFooterView(bytes).IsPoisoned;
    }

    private static bool HasCopy(VhdDiskType type) => type is VhdDiskType.Dynamic or VhdDiskType.Differencing;

    private static bool IsValidCopy(byte[] bytes)
    {
        var view = new VhdFooterView(bytes);
        return view.ChecksumIsValid() && HasCopy(view.DiskType);
    }

    private static bool EqualsButHidden(byte[] left, byte[] right)
    {
        for (var i = 0; i < left.Length; i++)
        {
            var isFreeToDiffer = i == VhdFooterView.HiddenOffset || (i >= VhdFooterView.ChecksumOffset && i < VhdFooterView.UniqueIdOffset);
            if (!isFreeToDiffer && left[i] != right[i])
            {
                return false;
            }
        }

        return true;
    }

    private static string Differences(VhdFooterView end, VhdFooterView front)
    {
        var names = new List<string>();
        void Compare<T>(string name, T left, T right)
            where T : notnull
        {
            if (!left.Equals(right))
            {
                names.Add($"{name} ({left} at the end, {right} in the copy)");
            }
        }

        Compare("cookie", end.IsPoisoned ? "v_poison" : "conectix", front.IsPoisoned ? "v_poison" : "conectix");
        Compare("features", end.Features, front.Features);
        Compare("file format version", end.FileFormatVersion, front.FileFormatVersion);
        Compare("data offset", end.DataOffset, front.DataOffset);
        Compare("timestamp", end.Timestamp, front.Timestamp);
        Compare("creator application", VhdText.FourCharacters(end.CreatorApplication), VhdText.FourCharacters(front.CreatorApplication));
        Compare("creator version", end.CreatorVersion, front.CreatorVersion);
        Compare("creator host OS", VhdText.FourCharacters(end.CreatorHostOs), VhdText.FourCharacters(front.CreatorHostOs));
        Compare("original size", end.OriginalSize, front.OriginalSize);
        Compare("current size", end.CurrentSize, front.CurrentSize);
        Compare("geometry", end.Geometry, front.Geometry);
        Compare("disk type", (uint)end.DiskType, (uint)front.DiskType);
        Compare("unique id", end.UniqueId, front.UniqueId);
        Compare("saved state", end.SavedState, front.SavedState);
        Compare("hidden mark", end.Hidden, front.Hidden);
        return names.Count == 0 ? "reserved bytes" : string.Join(", ", names);
    }
}
