/** Hindi: states, and what stands in the log, by the service's own words. */
export const words: Record<string, string> = {
  'awaiting sro': 'SRO की प्रतीक्षा', scheduled: 'निर्धारित', suspended: 'निलंबित', declined: 'अस्वीकृत', withdrawn: 'वापस लिया गया', lapsed: 'समाप्त हुआ प्रस्ताव',
  superseded: 'प्रतिस्थापित', attested: 'प्रमाणित', delivered: 'सौंपा गया', aborted: 'रोका गया',
  asked: 'माँगा गया', blocked: 'रोका हुआ', due: 'देय', instructed: 'निर्देशित', refunding: 'लौटाया जा रहा', void: 'अमान्य',
  answered: 'उत्तर मिला', ruled: 'निर्णय हुआ', closed: 'बंद', disabled: 'बंद किया', paused: 'रुका हुआ', pending: 'लंबित', dead: 'त्यागा गया',
  'contract proposed': 'अनुबंध प्रस्तावित', 'contract signed': 'अनुबंध पर हस्ताक्षर', 'contract executed': 'अनुबंध संपन्न', 'contract declined': 'अनुबंध अस्वीकृत',
  'contract revoked': 'अनुबंध रद्द', 'contract withdrawn': 'प्रस्ताव वापस', 'contract suspended': 'अनुबंध निलंबित', 'contract resumed': 'अनुबंध फिर चालू',
  'contract terminated': 'अनुबंध समाप्त', 'contract timed': 'अनुबंध का समय आया', 'contract completed': 'अनुबंध पूर्ण', 'run ordered': 'रन का आदेश', 'run checked in': 'रन का चेक-इन',
  'key service stated': 'कुंजी सेवा का कथन', 'run told its progress': 'रन की सूचना', 'run aborted': 'रन रोका गया', 'run lost': 'रन खो गया', 'run completed': 'रन पूर्ण', 'model handed over': 'मॉडल सौंपा गया',
  'payment answered': 'भुगतान का उत्तर', 'payments timed': 'भुगतान का समय आया', 'revenue stated': 'आय बताई गई', 'dispute opened': 'विवाद खुला', 'dispute answered': 'विवाद का उत्तर',
  'dispute ruled': 'विवाद पर निर्णय', 'dispute closed': 'विवाद बंद', 'dataset registered': 'डेटासेट पंजीकृत', 'dataset changed': 'डेटासेट बदला', 'participant applied': 'प्रतिभागी का आवेदन',
  'participant decided': 'प्रतिभागी पर निर्णय', 'image set approved': 'इमेज सेट स्वीकृत',
  'the log begins': 'लॉग का आरंभ', 'payment unmatched': 'अज्ञात भुगतान', 'payment retried': 'भुगतान फिर निर्देशित', 'payout entered': 'वितरण दर्ज', 'escrow timed out': 'जमा की अवधि समाप्त',
  'participant left': 'प्रतिभागी बाहर हुआ', 'key changed': 'कुंजी बदली', 'image set revoked': 'इमेज सेट रद्द', 'template approved': 'प्रारूप स्वीकृत', 'data schema approved': 'डेटा स्कीमा स्वीकृत',
  'budget renewed': 'बजट नवीनीकृत', 'statement registered': 'कथन पंजीकृत', 'digest anchored': 'सार-अंक दर्ज', 'read by an overseer': 'पर्यवेक्षक ने पढ़ा',
  'subject erased': 'विषय मिटाया गया', 'log key rotated': 'लॉग की कुंजी बदली', 'second tree’s root': 'दूसरे वृक्ष का मूल',
};
